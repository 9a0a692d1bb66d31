import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { reasonOf } from '../cli/failure.js';
import type { Places } from '../cli/places.js';
import { type Check, fail, ok, warn } from './check.js';

/** Whether what runs as this user could write the book itself, and say yes to itself. */
export function checkSeparation({ dir }: Places): Check {
  const id = 'separation';
  const owner = fs.statSync(dir, { throwIfNoEntry: false })?.uid;
  const uid = process.getuid?.();
  if (owner !== undefined && uid !== undefined && uid !== 0 && owner !== uid) {
    return ok(id, `the log is of user ${owner}, and this is user ${uid}`);
  }
  return warn(
    id,
    'the gate, its log and its keys are of the user whom the agent runs as: an agent that may run commands can use the keys, trust its own configuration, and give the approvals it is asked for; so approvals are advisory',
    'run gatebook serve as another user, and the gate with --socket; then only that user can approve for good',
  );
}

/** The log that another user writes, seen from here. Nobody is called. */
export function checkSocket(socket: string): Check[] {
  const id = 'socket';
  const todo = 'start gatebook serve there, or unset GATEBOOK_SOCKET';
  try {
    const stat = fs.statSync(socket, { throwIfNoEntry: false });
    if (stat === undefined)
      return [fail(id, `GATEBOOK_SOCKET names ${socket}, and nothing is there`, todo)];
    if (!stat.isSocket()) return [fail(id, `${socket} is no socket`, todo)];
    const folder = fs.statSync(dirname(socket));
    if ((folder.mode & 0o022) !== 0) {
      const what = `others may write in ${dirname(socket)}, and could put a socket of theirs in the place of ${socket}`;
      return [fail(id, what, `chmod go-w ${dirname(socket)}`)];
    }
    const own = stat.uid === process.getuid?.();
    const whose = own ? 'this user, as the agent may be' : `user ${stat.uid}`;
    return [
      ok(id, `the log is written behind ${socket}, by ${whose}; run gatebook doctor there too`),
      ...(own
        ? [
            warn(
              'separation',
              'who writes the log is this user, so approvals are advisory',
              'run gatebook serve as another user',
            ),
          ]
        : [ok('separation', `the log is of user ${stat.uid}`)]),
    ];
  } catch (error) {
    return [fail(id, `${socket} cannot be looked at: ${reasonOf(error)}`, todo)];
  }
}
