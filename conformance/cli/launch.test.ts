import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, openBench } from './gatebook.js';

describe('the command behind --', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench.remove());

  it('gets its options untouched, ours among them', async () => {
    const words = ['--log', 'x', '--user=y', '--help', '--version', '--', '-f', '', 'a b'];
    const script = 'console.log(JSON.stringify(process.argv.slice(1)))';
    const ran = await bench.run([
      'exec',
      '--user',
      'ann',
      '--',
      process.execPath,
      '-e',
      script,
      '--',
      ...words,
    ]);
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual(words);
    const records = await bench.records(['--user', 'ann']);
    expect(records.map((record) => record.action?.['phase'])).toEqual(['intent', 'outcome']);
  });

  it('gives its exit code to whoever called', async () => {
    for (const code of [0, 1, 2, 3, 77]) {
      const ran = await bench.run(['exec', '--', process.execPath, '-e', `process.exit(${code})`]);
      expect(ran.code).toBe(code);
    }
  });

  it('is recorded in the log named before it', async () => {
    const other = ['--log', join(bench.folder, 'log2'), '--keys', join(bench.folder, 'keys2')];
    await bench.run([
      ...other,
      'exec',
      '--channel',
      'c',
      '--agent',
      'a',
      '--',
      process.execPath,
      '-e',
      '',
    ]);
    const ran = await bench.run([
      'audit',
      ...other,
      '--format',
      'json',
      '--type',
      'command_execution',
    ]);
    expect(ran.stdout).toContain('"channel":"c"');
    expect(ran.stdout).toContain('"agent":"a"');
  });
});
