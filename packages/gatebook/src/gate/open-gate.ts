import { Gate } from '../gate.js';
import type { Ledger } from '../mcp/ledger.js';
import type { Asker } from './asker.js';
import { RedisBuckets } from './redis-buckets.js';
import type { GateSettings } from './settings.js';
import { sharedHolder } from './shared-holder.js';
import { StateClient } from './state/state-client.js';

export interface OpenGateOptions {
  readonly ledger: Ledger;
  readonly settings: GateSettings;
  /** Whether calls pass where the log fails. */
  readonly allows: boolean;
  /** Whether there is a log at all, as it is now. */
  readonly isOn: () => boolean;
  readonly ask: Asker;
  /** Takes one line for the operator. */
  readonly report: (line: string) => void;
}

export interface OpenGate {
  readonly gate: Gate;
  readonly state: StateClient;
  /** Other limits and rules from now on. */
  readonly change: (settings: GateSettings) => void;
}

/** The gate over a log: what it shares with others is asked through that log. */
export function openGate(options: OpenGateOptions): OpenGate {
  const { ledger, settings, allows, isOn, ask, report } = options;
  const { redis } = settings;
  const limits = redis === undefined ? settings.limits : [];
  const log = (message: string): Promise<string> => ledger.consult(message);
  const state = new StateClient(sharedHolder({ log, isOn, allows, report }), limits);
  const buckets =
    redis === undefined
      ? state
      : new RedisBuckets({ place: redis, specs: settings.limits, state, report });
  const gate = new Gate({ book: ledger, state, buckets, ask }, settings.rules);
  tellNotEnforced(settings, report);
  return {
    gate,
    state,
    change: (next) => {
      void buckets.change(next.limits);
      gate.change(next.rules);
      tellNotEnforced(next, report);
    },
  };
}

function tellNotEnforced({ rules }: GateSettings, report: (line: string) => void): void {
  const { notEnforced = [] } = rules;
  if (notEnforced.length === 0) return;
  report(`gatebook: NOT ENFORCED, because the configuration says so: ${notEnforced.join(', ')}`);
}
