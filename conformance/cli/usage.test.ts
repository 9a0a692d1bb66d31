import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, linesOf, openBench, repository } from './gatebook.js';
import { rowsToTry } from './rows-to-try.js';

/** Every command, as the words that lead to it. */
const commands: readonly (readonly string[])[] = [
  [],
  ['init'],
  ['uninstall'],
  ['doctor'],
  ['mcp'],
  ['exec'],
  ['record'],
  ['audit'],
  ['audit', 'verify'],
  ['policy', 'explain'],
  ['policy', 'test'],
  ['audit', 'status'],
  ['audit', 'tail'],
  ['audit', 'checkpoint'],
  ['audit', 'prove'],
  ['audit', 'check-proof'],
];

/** What docs/cli.md says about all commands, and about this one. */
async function sectionsFor(words: readonly string[]): Promise<string> {
  const docs = await readFile(join(repository, 'docs', 'cli.md'), 'utf8');
  const sections = docs.split(/^## /m);
  const common = sections.find((section) => section.startsWith('Common to all commands\n'));
  const title = `\`${['gatebook', ...words].join(' ')}\`\n`;
  const own = words.length === 0 ? '' : sections.find((section) => section.startsWith(title));
  if (common === undefined || own === undefined) return expect.fail(`docs/cli.md lacks ${title}`);
  const shared = sections.find((section) => section.startsWith('Evidence outside the host\n'));
  return common + own + (own.includes('(#evidence-outside-the-host)') ? shared : '');
}

const wrong: readonly (readonly string[])[] = [
  [],
  ['nonsense'],
  ['--nonsense'],
  ['init', 'more'],
  ['doctor', 'more'],
  ['record', 'file'],
  ['mcp'],
  ['exec'],
  ['exec', '--'],
  ['mcp', '--user', '--', 'node'],
  ['exec', 'ls', '--', 'x'],
  ['mcp', '--on-log-failure', 'maybe', '--', 'node'],
  ['audit', 'nonsense'],
  ['audit', '--risk', 'mad'],
  ['audit', '--type', 'tool_exec'],
  ['audit', '--since', 'yesterday'],
  ['audit', '--until', '2026-02-30'],
  ['audit', '--since', '1h', '--until', '2h'],
  ['audit', '--limit', '0'],
  ['audit', '--limit', '-1'],
  ['audit', '--limit', '1e3'],
  ['audit', '--limit', 'many'],
  ['audit', '--format', 'xml'],
  ['audit', '--user', ''],
  ['audit', '--user'],
  ['audit', '--log', '', 'status'],
  ['audit', '--key', 'x'],
  ['audit', '--strict'],
  ['audit', '--verify-signatures', '--user', 'ann'],
  ['audit', '--verify-signatures', '--format', 'json'],
  ['audit', 'verify', '--user', 'ann'],
  ['audit', 'status', '--strict'],
  ['audit', 'tail', '-n', '-1'],
  ['audit', 'checkpoint', 'now'],
];

describe('usage', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench();
    await bench.record([{ event_type: 'test.event' }]);
  });
  afterAll(() => bench.remove());

  it.each(
    rowsToTry(commands).map((words) => [words.join(' '), words] as const),
  )('gatebook %s --help prints its options, all of them in docs/cli.md', async (_name, words) => {
    const ran = await bench.run([...words, '--help']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const docs = await sectionsFor(words);
    const options = ran.stdout.match(/(?<=^ {2,}|, )--?[a-z][a-z-]*/gm) ?? [];
    expect(options.length).toBeGreaterThan(0);
    for (const option of options) expect(docs, option).toContain(`\`${option}`);
  });

  it.each(
    rowsToTry(wrong).map((args) => [args.join(' '), args] as const),
  )('gatebook %s exits 2 and says why on stderr', async (_name, args) => {
    const ran = await bench.run(args);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).not.toBe('');
    expect(ran.stderr).not.toContain('    at ');
    if (args.length > 0) expect(ran.stderr).toMatch(/^gatebook: /);
  });

  it.each([
    [['audit', '--since', 'yesterday'], '24h'],
    [['audit', '--risk', 'mad'], 'low, medium, high, critical'],
    [['audit', '--type', 'tool_exec'], 'tool_execution'],
    [['audit', '--format', 'xml'], 'table, json, csv'],
    [['audit', '--limit', 'many'], 'whole number'],
  ] as const)('gatebook %j says what is accepted', async (args, accepted) => {
    expect((await bench.run([...args])).stderr).toContain(accepted);
  });

  it('prints its version', async () => {
    const text = await readFile(join(repository, 'packages/gatebook/package.json'), 'utf8');
    const { version } = JSON.parse(text) as { version: string };
    expect(await bench.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('reports an error in one line, and its stack only under GATEBOOK_DEBUG', async () => {
    const args = ['audit', '--log', '/no/such\nlog'];
    const ran = await bench.run(args);
    expect(linesOf(ran.stderr)).toHaveLength(1);
    expect(ran.stderr).toMatch(/^gatebook: there is no log at \/no\/such\\nlog/);
    expect((await bench.run(args, { env: { GATEBOOK_DEBUG: '1' } })).stderr).toContain('    at ');
  });

  it('shows status to people and to programs', async () => {
    const text = await bench.run(['audit', 'status']);
    expect(text).toMatchObject({ code: 0, stderr: '' });
    for (const word of [
      'log',
      'origin',
      'public key',
      'records',
      'checkpoint',
      'pending',
      'writer',
    ]) {
      expect(text.stdout).toMatch(new RegExp(`^${word} +\\S`, 'm'));
    }
    const json = JSON.parse((await bench.run(['audit', 'status', '--json'])).stdout) as object;
    expect(json).toMatchObject({
      records: (await bench.records()).length,
      pending: 0,
      segments: 1,
      forward_security: { on: false, initial_key_file: join(bench.keys, 'initial-hmac-key') },
    });
  });

  it('says nothing about colour to what is no terminal', async () => {
    for (const args of [['audit'], ['audit', 'verify'], ['audit', 'tail']]) {
      expect((await bench.run(args)).stdout).not.toContain('\x1b');
    }
  });
});
