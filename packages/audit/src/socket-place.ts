import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { AuditError, reasonOf, systemCode } from './errors.js';

/** Where the writer of a log is reached by other processes, and whether that place can be trusted. */

/** A longer path is cut by the system without a word, and two logs could share a socket. */
const pathBytesMax = 100;
const socketName = 'writer';

/** The path of the socket of the log in `dir`, which must exist: in a folder of this user's own, one for each log. */
export function socketPlace(dir: string): string {
  const hash = createHash('sha256').update(fs.realpathSync(dir)).digest('hex').slice(0, 32);
  return checkSocketPath(path.join(runtimeFolder(), hash, socketName));
}

/** `$XDG_RUNTIME_DIR/gatebook` where that is a folder of ours, else one of ours in the temporary folder. */
function runtimeFolder(): string {
  const given = process.env['XDG_RUNTIME_DIR'] ?? '';
  const stat = path.isAbsolute(given) ? fs.statSync(given, { throwIfNoEntry: false }) : undefined;
  if (stat?.isDirectory() && stat.uid === process.geteuid?.()) return path.join(given, 'gatebook');
  return path.join(tmpdir(), `gatebook-${process.geteuid?.() ?? 0}`);
}

/** Refuses a path that Node or the system would cut. */
export function checkSocketPath(socket: string): string {
  const bytes = Buffer.byteLength(socket);
  if (bytes <= pathBytesMax) return socket;
  throw new AuditError(
    'bad_socket',
    `the socket's path ${socket} has ${bytes} bytes, and more than ${pathBytesMax} would be cut by the system; set XDG_RUNTIME_DIR (or TMPDIR) to a shorter folder`,
  );
}

/** Makes the two folders above the socket (0700), or refuses them when somebody else could put a socket there. */
export function prepareSocketFolder(socket: string): void {
  const folder = path.dirname(socket);
  for (const each of [path.dirname(folder), folder]) {
    try {
      fs.mkdirSync(each, { mode: 0o700 });
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') {
        throw new AuditError('bad_socket', `${each} cannot be made: ${reasonOf(error)}`, {
          cause: error,
        });
      }
    }
    checkOwnFolder(each, [process.geteuid?.() ?? 0]);
  }
}

/** Before a connection: the socket of the log in `dir` must lie where only this user, or the log's, can put one. */
export function checkSocketFolder(socket: string, dir: string): void {
  const owners = [process.geteuid?.() ?? 0, fs.statSync(dir).uid];
  checkOwnFolder(path.dirname(socket), owners);
}

function checkOwnFolder(folder: string, owners: readonly number[]): void {
  const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const wrong = !stat.isDirectory()
    ? 'is no folder'
    : !owners.includes(stat.uid)
      ? `belongs to user ${stat.uid}`
      : (stat.mode & 0o077) !== 0
        ? `is open to other users (mode ${(stat.mode & 0o777).toString(8)})`
        : undefined;
  if (wrong === undefined) return;
  throw new AuditError(
    'bad_socket',
    `${folder}, where the log's writer is reached, ${wrong}; remove it, or set XDG_RUNTIME_DIR to a folder of your own`,
  );
}

/** A socket that was named by hand must lie in a folder in which only its owner can replace it. */
export function checkNamedSocket(socket: string): string {
  checkSocketPath(socket);
  const folder = path.dirname(socket);
  const stat = fs.statSync(folder, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory()) {
    throw new AuditError('bad_socket', `there is no folder ${folder} for the socket ${socket}`);
  }
  if ((stat.mode & 0o022) !== 0) {
    throw new AuditError(
      'bad_socket',
      `others may write in ${folder} (mode ${(stat.mode & 0o7777).toString(8)}) and could replace the socket ${socket}; run chmod go-w on it or choose another folder`,
    );
  }
  return socket;
}
