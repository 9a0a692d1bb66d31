import { afterAll, beforeAll, expect, test } from 'vitest';
import { promisedBy } from './book.js';
import { Checker } from './checker.js';
import { inspect } from './inspection.js';
import { loadCommand, makeFolders, removeFolders, startLoad } from './load.js';

/** Twenty first starts at once make one key set and one chain. */

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
    const pids = new Set(loads.map((load) => load.process.pid));
    let opened = 0;
    for (const [at, { lines, errors }] of loads.entries()) {
      if (lines[0]?.startsWith('opened ') === true) {
        opened++;
        expect(codes[at], lines.at(-1)).toBe(0);
        expect(promisedBy(lines).acknowledged.size).toBe(40);
        continue;
      }
      expect(lines[0], errors()).toMatch(/^failed log_locked .* is open in process \d+;/);
      expect(pids).toContain(Number(/process (\d+);/.exec(lines[0]!)?.[1]));
      expect(codes[at]).toBe(1);
    }
    expect(opened).toBeGreaterThan(0);
    console.log(
      `crash: of 20 first starts ${opened} opened the log, the others were told who has it`,
    );
    const said = loads.flatMap((load) => load.lines);
    expect(await inspect(folders, said, checker)).toEqual([]);
  } finally {
    removeFolders(folders);
  }
});
