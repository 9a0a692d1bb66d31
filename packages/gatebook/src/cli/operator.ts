import type { AuditEvent } from '@gatebook/audit';
import { gated } from '../gate/gated.js';
import { askHolder } from '../gate/operator-client.js';
import { stateFolderOf } from '../gate/state/gate-hook.js';
import type { OperatorAnswer, OperatorAsk, OperatorOp } from '../gate/state/operator-message.js';
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

/** What runs behind a gate must not open it for itself. */
export function requireUngated(gates: readonly number[], what: string): void {
  const { because, unchecked } = gated({ gates, env: process.env });
  if (because !== undefined)
    throw new CliError(1, `${what} is for people, not for what runs behind a gate: ${because}`);
  if (unchecked !== undefined) say(unchecked);
}

/** A person who reads must be there to answer. */
export function requireTerminal(what: string): void {
  if (process.stdin.isTTY === true && process.stdout.isTTY === true) return;
  const which = process.stdin.isTTY === true ? 'stdout' : 'stdin';
  throw usageError(`${what} asks a person and needs a terminal, but ${which} is none`);
}

/** Does what an operator decided once it is recorded, and not where it cannot be. */
export async function recorded<T>(
  places: Places,
  event: AuditEvent,
  act: (log: Awaited<ReturnType<typeof openLog>>) => Promise<T>,
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
    return await act(log);
  } finally {
    await log.close();
  }
}

function unrecorded(error: unknown): CliError {
  return new CliError(1, `nothing was done, because it cannot be recorded: ${reasonOf(error)}`, {
    cause: error,
  });
}
