import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Attack, Expected } from './attack.js';
import { drop, type Folder, file, pathsIn, put } from './folder.js';
import { draftsOf, forge, type StolenKeys } from './forger.js';
import { asPublic, type Logs } from './logs.js';
import { tamperedFile } from './places.js';
import type { Members } from './records.js';

/** Tallies changed beside sealed segments, and seals of a key holder who did not count honestly. */
export function tallies(logs: Logs, keys: StolenKeys): Attack[] {
  return [...changedFiles(logs), ...dishonestSeals(logs, keys)];
}

function changedFiles(logs: Logs): Attack[] {
  const { folder } = logs.closed;
  const paths = pathsIn(folder, 'segments').filter((path) => path.endsWith('.tally'));
  const attack = (name: string, changed: Folder, expected: Expected): Attack => ({
    name: `tally: ${name}`,
    folder: () => changed,
    brought: asPublic(logs),
    expected,
  });
  const open = pathsIn(folder, 'segments')
    .at(-1)!
    .replace(/jsonl$/, 'tally');
  return [
    ...paths.flatMap((path, i) => {
      const bytes = file(folder, path);
      const lines = bytes.toString().split('\n').slice(0, -1);
      const text = (changed: readonly string[]): string =>
        changed.map((line) => `${line}\n`).join('');
      const other = paths[(i + 1) % paths.length]!;
      const seen = tamperedFile(path);
      return [
        attack(`${path} removed`, drop(folder, path), seen),
        attack(`${path} emptied`, put(folder, path, ''), seen),
        attack(`${path} a line gone`, put(folder, path, text(lines.slice(1))), seen),
        attack(`${path} a line added`, put(folder, path, text([...lines, '["zzz",1,1]'])), seen),
        attack(
          `${path} a count raised`,
          put(folder, path, text([`${lines[0]!.slice(0, -1)}0]`, ...lines.slice(1)])),
          seen,
        ),
        attack(`${path} another order`, put(folder, path, text([...lines].reverse())), seen),
        attack(`${path} without its last newline`, put(folder, path, bytes.subarray(0, -1)), seen),
        attack(`${path} that of ${other}`, put(folder, path, file(folder, other)), seen),
        {
          ...attack(`${path} a pipe`, drop(folder, path), seen),
          disturb: async (dir: string) =>
            void (await promisify(execFile)('mkfifo', [join(dir, path)])),
        },
      ];
    }),
    attack('one of the open segment has no meaning', put(folder, open, 'x'), { verdict: 'ok' }),
  ];
}

const lies: readonly Members[] = [
  { tally_root: '00'.repeat(32) },
  { tally_root: null },
  { tally_size: 5 },
  { first_timestamp: '2001-01-01T00:00:00.000Z' },
  { last_timestamp: '2999-01-01T00:00:00.000Z' },
  { last_seq: 3 },
];

/** Everything else about these logs is right: only the counting anew shows it. */
function dishonestSeals(logs: Logs, keys: StolenKeys): Attack[] {
  const { closed } = logs;
  const drafts = draftsOf(closed).map((draft, seq) =>
    seq === 0 ? draft : { members: draft.members, startsSegment: draft.startsSegment },
  );
  return lies.map((lie): Attack => {
    let forged: Folder | undefined;
    return {
      name: `tally: every seal says ${JSON.stringify(lie)}`,
      folder: () => (forged ??= forge(closed, drafts, keys, 0, lie)),
      brought: asPublic(logs),
      expected: { verdict: 'tampered' },
    };
  });
}
