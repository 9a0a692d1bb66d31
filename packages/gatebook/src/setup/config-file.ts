import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { CliError, codeOf, reasonOf } from '../cli/failure.js';
import { configTemplate } from './template.js';

/** Whether something of that name is there, if only a link that leads nowhere. */
export function isTaken(file: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** Writes the commented configuration and returns true, unless something of that name is there: that is never touched. */
export function makeConfigFile(file: string, mode: number): boolean {
  let fd: number;
  try {
    makeFolder(dirname(file));
    fd = fs.openSync(file, 'wx', mode);
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && isTaken(file)) return false;
    throw new CliError(1, `${file} cannot be made: ${reasonOf(error)}`, { cause: error });
  }
  try {
    fs.writeFileSync(fd, configTemplate());
    fs.fsyncSync(fd);
    return true;
  } catch (error) {
    // Half a line would be an error at every start.
    fs.rmSync(file, { force: true });
    throw new CliError(1, `${file} cannot be written: ${reasonOf(error)}`, { cause: error });
  } finally {
    fs.closeSync(fd);
  }
}

/** Node's own recursive `mkdir` never ends where nothing can be made in a parent that is there, as in `/proc`. */
function makeFolder(folder: string): void {
  if (fs.existsSync(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolder(parent);
  fs.mkdirSync(folder, { mode: 0o700 });
}
