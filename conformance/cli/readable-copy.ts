import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gatebookBin, repository } from './gatebook.js';

/** A checkout may lie in a folder that only its owner may enter; this copies what the program needs out of it. */
export function readableCopy(to: string): string {
  const listed = spawnSync(
    'npm',
    ['ls', '--omit=dev', '--all', '--parseable', '-w', 'packages/gatebook', '-w', 'packages/audit'],
    { cwd: repository, encoding: 'utf8' },
  );
  const paths = listed.stdout
    .split('\n')
    .map((path) => relative(repository, path))
    .filter((path) => path.startsWith('node_modules/'));
  mkdirSync(to);
  execFileSync('cp', ['-a', '--parents', 'packages', ...paths, to], { cwd: repository });
  execFileSync('chmod', ['-R', 'a+rX', to]);
  return join(to, relative(repository, gatebookBin));
}
