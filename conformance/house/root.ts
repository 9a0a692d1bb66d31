import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository: the tests run from `dist/`, what they read lies beside the sources. */
export const houseRoot = findHouse(dirname(fileURLToPath(import.meta.url)));

function findHouse(start: string): string {
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && readFileSync(file, 'utf8').includes('"gatebook-house"')) return folder;
  }
  throw new Error(`No folder above ${start} has the package.json of the house.`);
}
