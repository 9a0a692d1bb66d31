import { spawn } from 'node:child_process';
import { mkdir, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Bench, finished, gatebookBin, openBench, type Ran } from '../cli/gatebook.js';
import { briefly, callRecords, everything, filesystem, inspector } from './gate.js';

/** The Inspector takes the `--` away; gatebook must find the command without it. */
async function inspect(
  bench: Bench,
  how: 'direct' | 'gate',
  server: readonly string[],
  method: readonly string[],
): Promise<Ran> {
  const gate = how === 'gate' ? [gatebookBin, 'mcp', '--user', 'u1', '--', process.execPath] : [];
  const words = ['--cli', process.execPath, ...gate, ...server, '--method', ...method];
  const child = spawn(process.execPath, [inspector, ...words], {
    env: { ...process.env, GATEBOOK_LOG: bench.log, GATEBOOK_KEYS: bench.keys },
  });
  child.stdin.end();
  return await finished(child);
}

/** In the reduced run one call of each server stands for the others. */
const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
function some<T>(items: readonly T[], at: readonly number[]): readonly T[] {
  return full ? items : at.map((i) => items[i]!);
}

describe('the Inspector sees the same with and without the gate', () => {
  let bench: Bench;
  let folder: string;
  beforeEach(async () => {
    bench = await openBench();
    folder = join(await realpath(bench.folder), 'files');
    await mkdir(folder);
    await writeFile(join(folder, 'a.txt'), 'text of a\n');
  });
  afterEach(() => bench.remove());

  const ofEverything: [string, string[], string[]][] = [
    ['lists tools', ['tools/list'], []],
    ['lists resources', ['resources/list'], []],
    ['lists prompts', ['prompts/list'], []],
    [
      'calls a tool',
      ['tools/call', '--tool-name', 'get-sum', '--tool-arg', 'a=2', 'b=40'],
      ['intent get-sum', 'outcome get-sum ok'],
    ],
    [
      'calls a tool that does not exist',
      ['tools/call', '--tool-name', 'no-such', '--tool-arg', 'a=2'],
      ['intent no-such', 'outcome no-such error'],
    ],
    [
      'gets a prompt',
      ['prompts/get', '--prompt-name', 'simple-prompt'],
      ['intent simple-prompt', 'outcome simple-prompt ok'],
    ],
  ];
  test.each(some(ofEverything, [3]))('server-everything %s', async (_, method, records) => {
    const server = [everything, 'stdio'];
    const direct = await inspect(bench, 'direct', server, method);
    const through = await inspect(bench, 'gate', server, method);
    expect(through.code).toBe(direct.code);
    expect(through.stdout).toBe(direct.stdout);
    expect(through.stdout + through.stderr).not.toBe('');
    const found = await callRecords(bench);
    expect(briefly(found)).toEqual(records);
    expect(found.every((record) => record.actor?.user_id === 'u1')).toBe(true);
    expect(found.every((record) => record.actor?.agent === 'inspector-cli')).toBe(true);
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  const ofFilesystem: [string, (file: string) => string[], string[]][] = [
    ['lists tools', () => ['tools/list'], []],
    [
      'reads a file',
      (file) => ['tools/call', '--tool-name', 'read_text_file', '--tool-arg', `path=${file}`],
      ['intent read_text_file', 'outcome read_text_file ok'],
    ],
    [
      'refuses a file outside',
      // One that the policy asks nobody about: it is the server that refuses it.
      (file) => {
        const outside = join(file, '../../b.txt');
        return ['tools/call', '--tool-name', 'read_text_file', '--tool-arg', `path=${outside}`];
      },
      ['intent read_text_file', 'outcome read_text_file error'],
    ],
  ];
  test.each(some(ofFilesystem, [1]))('server-filesystem %s', async (_, method, records) => {
    const words = method(join(folder, 'a.txt'));
    const direct = await inspect(bench, 'direct', [filesystem, folder], words);
    const through = await inspect(bench, 'gate', [filesystem, folder], words);
    expect(through.code).toBe(direct.code);
    expect(through.stdout).toBe(direct.stdout);
    expect(through.stdout + through.stderr).not.toBe('');
    expect(briefly(await callRecords(bench))).toEqual(records);
  });

  test('a resource is read', async () => {
    const list = await inspect(bench, 'direct', [everything, 'stdio'], ['resources/list']);
    const { resources } = JSON.parse(list.stdout) as { resources: { uri: string }[] };
    const uri = resources[0]!.uri;
    const method = ['resources/read', '--uri', uri];
    const direct = await inspect(bench, 'direct', [everything, 'stdio'], method);
    const through = await inspect(bench, 'gate', [everything, 'stdio'], method);
    expect(through.stdout).toBe(direct.stdout);
    const records = await callRecords(bench);
    expect(records.map((record) => record.event_type)).toEqual(['file_access', 'file_access']);
    expect(briefly(records)).toEqual([`intent ${uri}`, `outcome ${uri} ok`]);
  });
});
