import * as fs from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { tallyPath } from './segment.js';
import { checkTallyProof, proveTally, readTally, type TallyQuestion } from './tally-proof.js';
import { appendEvents, openDirect, publicKeyOf } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import { copyOf, type Folders, foldersIn, makeTemporary } from './testing/folders.js';

pretendToSync();

const log: Folders = foldersIn(makeTemporary());
const users = ['bob', 'ann', 'ann', 'ann!', 'dave', 'Åsa'];

beforeAll(() => {
  const writer = openDirect(log);
  appendEvents(
    writer,
    users.map((userId) => ({ eventType: 'test.event', actor: { userId } })),
  );
  writer.rotate();
  writer.close();
});

function ask(question: TallyQuestion): Promise<string> {
  return proveTally({ dir: log.dir, segment: 0, question });
}

function check(proof: string): ReturnType<typeof checkTallyProof> {
  return checkTallyProof(proof, [publicKeyOf(log)]);
}

test.each<[TallyQuestion, number]>([
  [{ dimension: 'actor', value: 'ann' }, 2],
  [{ dimension: 'actor', value: 'ann!' }, 1],
  [{ dimension: 'actor', value: 'Åsa' }, 1],
  [{ dimension: 'actor', value: null }, 1],
  [{ dimension: 'tool', value: null }, 7],
  [{ dimension: 'type', value: 'test.event' }, 6],
  [{ dimension: 'actor', value: 'an' }, 0],
  [{ dimension: 'actor', value: 'ann?' }, 0],
  [{ dimension: 'actor', value: ' ' }, 0],
  [{ dimension: 'actor', value: '' }, 0],
  [{ dimension: 'actor', value: 'zoe' }, 0],
  [{ dimension: 'actor', value: '\u{1f600}' }, 0],
  [{ dimension: 'decision', value: true }, 0],
  [{ dimension: 'type', value: 'zzz.zzz' }, 0],
  [{ dimension: 'type', value: 'log.epoch' }, 0],
])('%j: %i', async (question, count) => {
  expect(check(await ask(question))).toMatchObject({
    ...question,
    count,
    firstSeq: 0,
    lastSeq: 7,
  });
});

test('reads what the file says', () => {
  expect(readTally(log.dir, 0)).toContainEqual({ dimension: 'actor', value: 'ann', count: 2 });
});

describe('a proof that does not hold', () => {
  const cases: [string, (present: string, absent: string) => string][] = [
    [
      'another value asked',
      (present) => present.replace('ask ["actor","ann"]', 'ask ["actor","bob"]'),
    ],
    ['absence of what is there', (_, absent) => absent.replace(/^ask .*$/m, 'ask ["actor","bob"]')],
    [
      'only one neighbour',
      (_, absent) => absent.replace(/\nline [^\n]*(\n[A-Za-z0-9+/]{43}=)*(?=\n\n)/, ''),
    ],
    [
      'a count raised',
      (present) =>
        present.replace(
          /^line (\d+) (\S+)$/m,
          (_, n: string, text: string) =>
            `line ${n} ${Buffer.from(Buffer.from(text, 'base64').toString().replace(',2]', ',3]')).toString('base64')}`,
        ),
    ],
    [
      'another index',
      (present) => present.replace(/^line (\d+)/m, (_, n: string) => `line ${Number(n) + 1}`),
    ],
    ['no line', (present) => present.replace(/\nline [\s\S]*?\n\n/, '\n\n')],
    ['a hash gone', (present) => present.replace(/\n[A-Za-z0-9+/]{43}=\n/, '\n')],
    ['another record than the seal', (present) => present.replace(/^index \d+$/m, 'index 0')],
    ['no question', (present) => present.replace(/^ask .*$/m, 'ask ["what","x"]')],
    [
      'a question spelled otherwise',
      (present) => present.replace(/^ask .*$/m, 'ask ["actor", "ann"]'),
    ],
    ['no header', (present) => present.slice(1)],
    ['nothing', () => ''],
    ['endless', (present) => present + 'x'.repeat(2_000_000)],
  ];
  test.each(cases)('%s', async (_, change) => {
    const present = await ask({ dimension: 'actor', value: 'ann' });
    const absent = await ask({ dimension: 'actor', value: 'carl' });
    const changed = change(present, absent);
    expect([present, absent]).not.toContain(changed);
    expect(() => check(changed)).toThrow(expect.objectContaining({ code: 'bad_proof' }));
  });

  test('is not made from a tally that is not the seal’s, nor of an open segment', async () => {
    const copy = copyOf(log);
    const question = { dimension: 'actor', value: 'ann' } as const;
    await expect(proveTally({ dir: copy.dir, segment: 8, question })).rejects.toMatchObject({
      code: 'not_found',
    });
    fs.writeFileSync(tallyPath(copy.dir, 8), '["actor","ann",2]\n');
    await expect(proveTally({ dir: copy.dir, segment: 8, question })).rejects.toMatchObject({
      code: 'not_found',
    });
    fs.writeFileSync(tallyPath(copy.dir, 0), '["actor","ann",2]\n');
    await expect(proveTally({ dir: copy.dir, segment: 0, question })).rejects.toMatchObject({
      code: 'log_damaged',
    });
  });
});
