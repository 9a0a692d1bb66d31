import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../cli/gatebook.js';
import { Checker } from '../crash/checker.js';
import { inspect } from '../crash/inspection.js';
import { loadCommand, makeFolders, removeFolders, startLoad } from '../crash/load.js';
import { writerPid } from './writer-pid.js';

/** Row 12: a writer that is stopped is named, and never bypassed. */

let checker: Checker;

beforeAll(() => {
  checker = new Checker();
});

afterAll(() => checker.end());

test('row 12: a stopped writer is named within three seconds and nobody writes in its place; when it goes on, so do the others', async () => {
  const folders = makeFolders();
  const args = ['--in-flight', '4', '--pause-ms', '20'];
  const writer = startLoad(loadCommand(folders, ['--first', '0', '--records', '400', ...args]));
  const pid = writer.process.pid!;
  try {
    await writer.until((line) => line.startsWith('opened'));
    const other = startLoad(
      loadCommand(folders, ['--first', '1000000', '--records', '2000', ...args]),
    );
    await other.until((line) => /^\d+ \d+ /.test(line));
    expect(writerPid(folders.log)).toBe(pid);
    const said = other.lines.length;
    writer.process.kill('SIGSTOP');
    const since = performance.now();
    await other.until((line) => line.includes(' refused '));
    const waitedMs = performance.now() - since;
    const refused = other.lines.slice(said).find((line) => line.includes(' refused '))!;
    expect(refused).toMatch(/ refused log_unavailable /);
    expect(refused).toContain(`process ${pid}`);
    expect(waitedMs).toBeGreaterThan(1_500);
    expect(waitedMs).toBeLessThan(4_000);
    // Who only comes now is told so too.
    const late = await run(['record', '--log', folders.log, '--keys', folders.keys], {
      input: '{"event_type":"a.b"}\n',
    });
    expect(late.code).toBe(1);
    expect(late.stderr).toContain(`process ${pid}`);
    expect(late.stderr).toContain('(log_unavailable)');
    expect(writerPid(folders.log)).toBe(pid);
    writer.process.kill('SIGCONT');
    const stopped = other.lines.length;
    await other.until((line) => other.lines.length > stopped && /^\d+ \d+ /.test(line));
    expect(await writer.ended, writer.errors()).toBe(0);
    expect(await other.ended, other.errors()).toBe(0);
    const answered = [...writer.lines, ...other.lines];
    // What was refused as unavailable may have been written all the same, as its message says.
    const certain = answered.filter((line) => !line.includes(' refused log_unavailable '));
    expect(certain.filter((line) => line.includes(' refused '))).toEqual([]);
    expect(await inspect(folders, certain, checker)).toEqual([]);
  } finally {
    writer.process.kill('SIGKILL');
    await sleep(50);
    removeFolders(folders);
  }
}, 120_000);

test('row 12: a stopped writer that is then killed is replaced', async () => {
  const folders = makeFolders();
  const writer = startLoad(loadCommand(folders, ['--in-flight', '4', '--pause-ms', '20']));
  try {
    await writer.until((line) => line.startsWith('opened'));
    const args = ['--first', '1000000', '--records', '1000', '--in-flight', '4', '--pause-ms', '5'];
    const other = startLoad(loadCommand(folders, args));
    await other.until((line) => /^\d+ \d+ /.test(line));
    writer.process.kill('SIGSTOP');
    await sleep(500);
    writer.process.kill('SIGKILL');
    expect(await other.ended, other.errors()).toBe(0);
    expect(other.lines.filter((line) => line.includes(' refused '))).toEqual([]);
    const said = [...writer.lines, ...other.lines];
    expect(await inspect(folders, said, checker)).toEqual([]);
  } finally {
    writer.process.kill('SIGKILL');
    removeFolders(folders);
  }
}, 120_000);
