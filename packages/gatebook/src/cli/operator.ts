import type { AuditEvent } from '@gatebook/audit';
import { gated } from '../gate/gated.js';
import { askHolder } from '../gate/operator-client.js';
import { stateAfter, stateFolderOf } from '../gate/state/gate-hook.js';
import { GateState } from '../gate/state/gate-state.js';
import { operatorReply } from '../gate/state/operator-desk.js';
import type { OperatorAnswer, OperatorAsk, OperatorOp } from '../gate/state/operator-message.js';
import { StateFolder } from '../gate/state/state-folder.js';
import { openLog } from '../open-log.js';
import { CliError, reasonOf, usageError } from './failure.js';
import type { Places } from './places.js';
import { say } from './talk.js';

/** Asks the process that holds what the gates over this log share; undefined where there is none. */
export async function asked<O extends OperatorOp>(
  { keysDir }: Places,
  op: O,
  ask: OperatorAsk<O>,
): Promise<OperatorAnswer<O> | undefined> {
  try {
    return await askHolder(stateFolderOf(keysDir), op, ask);
  } catch (error) {
    throw new CliError(1, reasonOf(error), { cause: error });
  }
}

/** What an operator sees, and where it is. */
export interface Seen<O extends OperatorOp> {
  /** A process holds it; no gate runs, and this is what the last one left; the one that held it was killed; or no gate ever ran. */
  readonly kept: 'running' | 'written' | 'unknown' | 'nothing';
  /** Not with `unknown` and `nothing`. */
  readonly answer?: OperatorAnswer<O> | undefined;
  /** With `unknown`: when that process may have lived last, in ms since 1970. */
  readonly atMs?: number | undefined;
}

/** As `asked`; where no process holds what the gates share, it is looked at as the last one left it. Nothing may change by it. */
export async function seen<O extends OperatorOp>(
  places: Places,
  op: O,
  ask: OperatorAsk<O>,
): Promise<Seen<O>> {
  const answer = await asked(places, op, ask);
  if (answer !== undefined) return { kept: 'running', answer };
  const left = new StateFolder(stateFolderOf(places.keysDir)).left();
  if (left.kind === 'nothing') return { kept: 'nothing' };
  if (left.kind === 'lost') return { kept: 'unknown', atMs: left.atMs };
  const reply = operatorReply(stateAfter(left, GateState), JSON.stringify({ op, ...ask }));
  if ('error' in reply) throw new CliError(1, reply.error.message);
  return { kept: 'written', answer: reply as OperatorAnswer<O> };
}

/** What runs behind a gate must not open it for itself. */
export function requireUngated(gates: readonly number[], what: string): void {
  const { because, unchecked } = gated({ gates, env: process.env });
  if (because !== undefined)
    throw new CliError(1, `${what} is for people, not for what runs behind a gate: ${because}`);
  if (unchecked !== undefined) say(unchecked);
}

/**
 * As `requireUngated`, of a command that decides nothing for a gate that runs but changes what the next one goes by. Where nobody can
 * find out who started it (a system that hides the processes of others), it is done all the same.
 */
export async function requireUngatedHere(places: Places | undefined, what: string): Promise<void> {
  const gates = places === undefined ? [] : await gatesOver(places);
  const { because, unsure } = gated({ gates, env: process.env });
  if (because === undefined || unsure === true) return;
  throw new CliError(1, `${what} is for people, not for what runs behind a gate: ${because}`);
}

/** The processes that have a gate over this log, where one answers for them; all that they start has the mark besides. */
export async function gatesOver(places: Places): Promise<readonly number[]> {
  try {
    return (await seen(places, 'approvals', {})).answer?.gates ?? [];
  } catch {
    return [];
  }
}

/** A person who reads must be there to answer. */
export function requireTerminal(what: string, otherwise?: string): void {
  if (process.stdin.isTTY === true && process.stdout.isTTY === true) return;
  const which = process.stdin.isTTY === true ? 'stdout' : 'stdin';
  const hint = otherwise === undefined ? '' : `; ${otherwise}`;
  throw usageError(`${what} asks a person and needs a terminal, but ${which} is none${hint}`);
}

/** Has an operator's decision recorded, and does it then. */
export interface Deciding {
  /** Asks the holder, as `asked`. Where nobody holds what the gates share, whoever writes the log begins to, be it this process. */
  decide<O extends OperatorOp>(op: O, ask: OperatorAsk<O>): Promise<OperatorAnswer<O> | undefined>;
  append(event: AuditEvent): Promise<unknown>;
}

/** Does what an operator decided once it is recorded, and not where it cannot be. */
export async function recorded<T>(
  places: Places,
  event: AuditEvent,
  act: (deciding: Deciding) => Promise<T>,
): Promise<T> {
  let log: Awaited<ReturnType<typeof openLog>>;
  try {
    log = await openLog({ dir: places.dir, keysDir: places.keysDir });
  } catch (error) {
    throw unrecorded(error);
  }
  try {
    await log.append(event).catch((error: unknown) => {
      throw unrecorded(error);
    });
    return await act({
      append: (other) => log.append(other),
      decide: async (op, ask) => {
        const answer = await asked(places, op, ask);
        if (answer !== undefined) return answer;
        await log.consult(JSON.stringify({ op: 'news', id: 'none' }));
        return await asked(places, op, ask);
      },
    });
  } finally {
    await log.close();
  }
}

function unrecorded(error: unknown): CliError {
  return new CliError(1, `nothing was done, because it cannot be recorded: ${reasonOf(error)}`, {
    cause: error,
  });
}
