import { afterAll, beforeAll, expect, test } from 'vitest';
import { promisedBy } from './book.js';
import { Checker } from './checker.js';
import { inspect } from './inspection.js';
import { loadCommand, makeFolders, removeFolders, startLoad } from './load.js';

/** Twenty first starts at once make one key set and one chain, to which all append. */

let checker: Checker;

beforeAll(() => {
  checker = new Checker();
});

afterAll(() => checker.end());

test('20 processes that start at once on empty folders make one key set and one chain', async () => {
  const folders = makeFolders();
  try {
    const loads = Array.from({ length: 20 }, (_, at) =>
      startLoad(
        loadCommand(folders, [
          ...['--first', String(at * 1_000), '--records', '40'],
          ...['--in-flight', '1', '--pause-ms', '20'],
        ]),
      ),
    );
    const codes = await Promise.all(loads.map((load) => load.ended));
    for (const [at, { lines, errors }] of loads.entries()) {
      expect(lines[0], errors()).toMatch(/^opened /);
      expect(codes[at], lines.at(-1)).toBe(0);
      expect(promisedBy(lines).acknowledged.size).toBe(40);
    }
    const said = loads.flatMap((load) => load.lines);
    expect(await inspect(folders, said, checker)).toEqual([]);
  } finally {
    removeFolders(folders);
  }
});
