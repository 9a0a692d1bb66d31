import { type AnchorAddress, anchorSink } from './anchor.js';
import type { Progress } from './cosigned.js';
import { AuditError } from './errors.js';
import { Feeder, type Sink, sendOnce } from './feeder.js';
import type { Fetch } from './witness-client.js';
import { type WitnessAddress, witnessSink } from './witness-sink.js';

/** Who outside this host holds evidence of the log, as options of `openAuditLog`. */
export interface OutsideOptions {
  /** Witnesses that cosign the log's checkpoints (c2sp.org/tlog-witness). Default: none. */
  readonly witnesses?: readonly WitnessAddress[] | undefined;
  /** How often each is sent the newest checkpoint, news or none. Default 60,000. */
  readonly witnessIntervalMs?: number | undefined;
  /** Other places that checkpoints are sent to. Default: none. */
  readonly anchors?: readonly AnchorAddress[] | undefined;
  /** How often each, news or none. Default 600,000. */
  readonly anchorIntervalMs?: number | undefined;
  /** How HTTP calls are made. Default: Node's `fetch`. */
  readonly fetch?: Fetch | undefined;
}

const witnessIntervalMsUsual = 60_000;
const anchorIntervalMsUsual = 600_000;
const sinksMax = 64;
const timeoutMsUsual = 10_000;

/** The places to send checkpoints to. Throws `bad_option` or `bad_key` for one that cannot work. */
export function sinksOf(options: OutsideOptions, thorough = false): Sink[] {
  const { witnesses = [], anchors = [], fetch } = options;
  const often = {
    witness: interval(options.witnessIntervalMs, witnessIntervalMsUsual, 'witnessIntervalMs'),
    anchor: interval(options.anchorIntervalMs, anchorIntervalMsUsual, 'anchorIntervalMs'),
  };
  const sinks = [
    ...witnesses.map((each) => witnessSink(each, { intervalMs: often.witness, fetch, thorough })),
    ...anchors.map((each) => anchorSink(each, { intervalMs: often.anchor, fetch })),
  ];
  if (sinks.length > sinksMax) {
    throw new AuditError('bad_option', `there can be ${sinksMax} witnesses and anchors at most`);
  }
  const names = sinks.map(({ kind, name }) => `${kind} ${name}`);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new AuditError('bad_option', `the ${twice} is given twice`);
  return sinks;
}

function interval(value: number | undefined, usual: number, member: string): number {
  const ms = value ?? usual;
  if (!Number.isSafeInteger(ms) || ms < 100 || ms > 86_400_000) {
    throw new AuditError('bad_option', `${member} must be an integer from 100 to 86400000`, {
      member,
    });
  }
  return ms;
}

/** Begins to send the checkpoints of an open log; undefined when there is nobody to send them to. */
export function startFeeding(dir: string, sinks: readonly Sink[]): Feeder | undefined {
  return sinks.length === 0 ? undefined : new Feeder({ dir, sinks });
}

/**
 * Sends the newest checkpoint to every witness and anchor once, each for at most `timeoutMs`. Where the tiles do not give
 * a consistency proof it reads the lines. Throws `bad_option`, `bad_key`.
 */
export async function cosignNewest(
  options: OutsideOptions & { readonly dir: string; readonly timeoutMs?: number | undefined },
): Promise<readonly Progress[]> {
  const sinks = sinksOf(options, true);
  const sent = await Promise.all(
    sinks.map((sink) =>
      sendOnce(options.dir, sink, AbortSignal.timeout(options.timeoutMs ?? timeoutMsUsual)),
    ),
  );
  return sent.filter((progress) => progress !== undefined);
}
