import { reasonOf } from '../mcp/ledger.js';
import { type Consult, ownState } from './state/state-client.js';

export interface SharedConsultOptions {
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
export function sharedConsult({ log, isOn, allows, report }: SharedConsultOptions): Consult {
  let own: Promise<Consult> | undefined;
  const alone = async (message: string, why: string): Promise<string> => {
    if (own === undefined) {
      report(`gatebook: limits, approvals and known tools are of this process only: ${why}`);
      own = import('./state/gate-state.js').then(({ GateState }) => {
        const state = new GateState();
        state.unreachable = `nobody can answer by gatebook approve: ${why}`;
        return ownState(state);
      });
    }
    return await (await own)(message);
  };
  return async (message) => {
    if (!isOn()) return await alone(message, 'the audit log is off');
    try {
      return await log(message);
    } catch (error) {
      if (!allows) throw error;
      return await alone(message, `the log cannot be asked: ${reasonOf(error)}`);
    }
  };
}
