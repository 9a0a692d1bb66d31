import { reasonOf } from '../mcp/ledger.js';
import { GateError } from './errors.js';
import { byMessages, type Consult, type Holder, ownHolder } from './state/state-client.js';

export interface SharedHolderOptions {
  /** Asks the process that writes the log. */
  readonly log: Consult;
  /** Whether there is a log at all. */
  readonly isOn: () => boolean;
  /** Whether calls pass where the log cannot be reached. */
  readonly allows: boolean;
  /** Takes one line for the operator. */
  readonly report: (line: string) => void;
}

/**
 * What joins the gates over one log. Without a log, or where the operator lets calls pass without it, this process stands alone, and says
 * so: what it has is lost with it.
 */
export function sharedHolder({ log, isOn, allows, report }: SharedHolderOptions): Holder {
  const shared = byMessages(log);
  let own: Promise<Holder> | undefined;
  const alone = async (why: string): Promise<Holder> => {
    if (own === undefined) {
      report(`gatebook: limits, approvals and known tools are of this process only: ${why}`);
      own = import('./state/gate-state.js').then(({ GateState }) => {
        const state = new GateState();
        state.unreachable = `nobody can answer by gatebook approve: ${why}`;
        return ownHolder(state);
      });
    }
    return await own;
  };
  return {
    ask: async (op, message) => {
      if (!isOn()) return await (await alone('the audit log is off')).ask(op, message);
      try {
        return await shared.ask(op, message);
      } catch (error) {
        // What the holder itself refuses is its answer.
        if (!allows || error instanceof GateError) throw error;
        const holder = await alone(`the log cannot be asked: ${reasonOf(error)}`);
        return await holder.ask(op, message);
      }
    },
  };
}
