import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The kernel takes 107 bytes; more would be cut, and some other socket reached. */
const pathBytesMax = 107;

/** The socket at which the holder answers its operator. */
export function operatorSocket(stateFolder: string): string {
  return join(stateFolder, 'operator');
}

/**
 * Why whoever is not this user, nor root, could have put the socket there; undefined where nobody could. A folder that is not there is
 * nobody's.
 */
export function unsafeFolder(folder: string): string | undefined {
  const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const own = process.geteuid?.();
  if (!stat.isDirectory()) return `${folder} is no folder`;
  if (own !== undefined && stat.uid !== own && stat.uid !== 0) {
    return `${folder} belongs to user ${stat.uid}`;
  }
  if ((stat.mode & 0o077) === 0) return undefined;
  const mode = (stat.mode & 0o777).toString(8);
  return `${folder} is open to other users (mode ${mode}); run chmod go-rwx on it`;
}

/**
 * Calls `use` with a path by which a socket can be made or reached, however long its own is: where it is too long for the kernel, by way
 * of its folder, held open meanwhile.
 *
 * @throws Error where that is not possible on this system
 */
export async function withReach<T>(socket: string, use: (path: string) => Promise<T>): Promise<T> {
  const bytes = Buffer.byteLength(socket);
  if (bytes <= pathBytesMax) return await use(socket);
  if (process.platform !== 'linux') {
    throw new Error(
      `the path ${socket} has ${bytes} bytes, and a socket's at most ${pathBytesMax}; choose a shorter keys folder`,
    );
  }
  const folder = fs.openSync(dirname(socket), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    return await use(`/proc/self/fd/${folder}/${basename(socket)}`);
  } finally {
    fs.closeSync(folder);
  }
}
