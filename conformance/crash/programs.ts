import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The programs the crash suites run: the command line, and the two examples that show how the library is used. */

const root = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package-lock.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('the repository was not found above this test');
  return findRoot(parent);
}

export const gatebook = join(root, 'packages', 'gatebook', 'bin', 'gatebook.js');
export const writeLoad = join(root, 'examples', 'dist', 'write-load.js');
export const checkLogs = join(root, 'examples', 'dist', 'check-logs.js');
export const shareCounter = join(root, 'examples', 'dist', 'share-counter.js');
export const straceSetup = join(root, 'conformance', 'power-loss', 'setup');

/** Whether everything is to be run, or the part that fits beside the other tests. */
export const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';

/** File calls that go through a ring in memory are seen by nobody; the environment of whatever is traced. */
export const tracedEnvironment: NodeJS.ProcessEnv = { ...process.env, UV_USE_IO_URING: '0' };
