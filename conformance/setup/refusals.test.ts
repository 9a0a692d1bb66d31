import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finished, gatebookBin, linesOf } from '../cli/gatebook.js';
import { rowsToTry } from '../cli/rows-to-try.js';
import { front, type Home, openHome, wordsOf } from './home.js';

describe('a client’s file that cannot be used', () => {
  let home: Home;
  beforeEach(async () => {
    home = await openHome();
  });
  afterEach(() => home.remove());

  const one = '{"mcpServers":{"a":{"command":"x"}}}';

  /** Says so in one line, and nothing is made: no log either. */
  async function refused(file: string, code: number, ...words: string[]): Promise<void> {
    const ran = await home.run(['init', '--client', 'cursor', '--file', file]);
    expect([ran.code, ran.stdout]).toEqual([code, '']);
    expect(linesOf(ran.stderr)).toHaveLength(1);
    for (const word of [file, ...words]) expect(ran.stderr).toContain(word);
    expect(existsSync(join(home.folder, '.local'))).toBe(false);
    const names = await readdir(home.folder);
    expect(names.filter((name) => name.includes('gatebook-backup'))).toEqual([]);
  }

  const wrong: readonly (readonly [string, string | Buffer, string])[] = [
    ['a comma too many', '{\n "mcpServers": {\n  "a": {"command": "x",, }}}', ':3:24: '],
    ['a text that does not end', '{"mcpServers": "', ':1:16: '],
    ['something behind it', `${one}x`, ':1:37: '],
    ['nothing', '', ':1:1: '],
    ['no object', '[1]', ':1:1: '],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'UTF-8'],
    ['UTF-16', Buffer.from(`\uFEFF${one}`, 'utf16le'), 'UTF-8'],
    ['deep nesting', `{"mcpServers":${'[{"a":'.repeat(100_000)}`, 'nested too deeply'],
    ['more than is read', `{"mcpServers":{},"x":"${'x'.repeat(17 * 1024 * 1024)}"}`, '16777216'],
  ];
  it.each(rowsToTry(wrong))('%s', async (_what, content, words) => {
    await refused(await home.write('m.json', content), 2, words);
  });

  it('no server in it', async () => {
    for (const content of [
      '{}',
      '{"mcpServers":{}}',
      '{"mcpServers":[]}',
      '{"servers":{"a":{"command":"x"}}}',
    ]) {
      await refused(await home.write('m.json', content), 1, 'no server', 'mcpServers');
    }
  });

  it('no file, a folder, a pipe in its place, links in a circle', async () => {
    await refused(join(home.folder, 'none.json'), 2, 'no such file', '--file');
    await mkdir(join(home.folder, 'dir'));
    await refused(join(home.folder, 'dir'), 2, 'not a regular file');
    const pipe = join(home.folder, 'pipe');
    await finished(spawn('mkfifo', [pipe]));
    await refused(pipe, 2, 'not a regular file');
    await symlink('loop2', join(home.folder, 'loop1'));
    await symlink('loop1', join(home.folder, 'loop2'));
    await refused(join(home.folder, 'loop1'), 2, 'circle');
    const ran = await home.run(['init', '--client', 'cursor']);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Cursor') });
  });

  it('wrong usage', async () => {
    for (const args of [
      ['init', '--file', 'm.json'],
      ['uninstall', '--file', 'm.json'],
      ['init', '--client', 'emacs'],
      ['uninstall', '--client', 'cursor', '--file', ''],
    ]) {
      expect(await home.run(args), args.join(' ')).toMatchObject({ code: 2, stdout: '' });
    }
    expect(existsSync(join(home.folder, '.local'))).toBe(false);
  });

  it('entries that are not as any client would have them are named and left, the others are wired', async () => {
    const odd = [
      '7',
      'null',
      '[]',
      '{}',
      '{"command":7}',
      '{"command":""}',
      '{"command":["npx"]}',
      '{"command":"x","args":"-y"}',
      '{"command":"x","args":["-y",1]}',
      '{"command":"x","args":null}',
      '{"command":"x","args":{"0":"a"}}',
      '{"command":"x","command":"y"}',
      '{"command":"x","args":[],"args":["z"]}',
      '{"command":"x","url":"https://far.example"}',
      '{"type":"odd","command":"x"}',
      '{"type":7,"command":"x"}',
    ];
    const text = `{"mcpServers":{${odd.map((entry, at) => `"odd${at}":${entry},`).join('\n')}"__proto__":{"command":"p"},"":{"command":"e"}}}`;
    const file = await home.write('m.json', text);
    const ran = await home.run(['init', '--client', 'cursor', '--file', file]);
    expect(ran.code).toBe(1);
    for (const at of odd.keys()) {
      expect(ran.stdout).toMatch(new RegExp(`odd${at}: not guarded, left as it is: .*:${at + 1}:`));
    }
    const after = await home.read('m.json');
    for (const entry of odd) expect(after).toContain(entry);
    const added = front
      .slice(1)
      .map((word) => JSON.stringify(word))
      .join(', ');
    expect(after).toContain(`"__proto__":{"command":"${front[0]}", "args": [${added}, "p"]}`);
    expect(after).toContain(`"":{"command":"${front[0]}", "args": [${added}, "e"]}`);
  });

  it('a name that stands twice: both are wired, for either may count', async () => {
    const file = await home.write(
      'm.json',
      '{"mcpServers":{"a":{"command":"x"},"a":{"command":"y"}},"mcpServers":{"b":{"command":"z"}}}',
    );
    expect((await home.run(['init', '--client', 'cursor', '--file', file])).code).toBe(0);
    expect((await home.read('m.json')).split(JSON.stringify(front[1])).length - 1).toBe(3);
  });

  it('control characters in names do not reach the terminal', async () => {
    const file = await home.write(
      'm.json',
      '{"mcpServers":{"a\\u001b[2J\\u202e":{"command":"x"}}}',
    );
    const ran = await home.run(['init', '--client', 'cursor', '--file', file, '--dry-run']);
    expect(ran.stdout).toContain('a\\x1b[2J\\u{202e}');
    expect(ran.stdout).not.toMatch(/[\u001b\u202e]/);
  });

  it('a large file is wired all the same', async () => {
    const filler = JSON.stringify('y'.repeat(10 * 1024 * 1024));
    const file = await home.write(
      'm.json',
      `{"history":${filler},"mcpServers":{"a":{"command":"x"}}}`,
    );
    expect((await home.run(['init', '--client', 'cursor', '--file', file])).code).toBe(0);
    expect(wordsOf(JSON.parse(await home.read('m.json')).mcpServers.a)).toEqual([...front, 'x']);
  });

  // Root may write anywhere, unless that is taken from it.
  it.skipIf(process.getuid?.() !== 0)(
    'one that this user may not write is as it was, and that is said',
    async () => {
      const file = await home.write('locked/m.json', one, 0o644);
      const locked = join(home.folder, 'locked');
      await chown(locked, 65534, 65534);
      const command = [gatebookBin, 'init', '--client', 'cursor', '--file', file];
      const child = spawn(
        'setpriv',
        ['--bounding-set=-dac_override,-dac_read_search', process.execPath, ...command],
        { env: { HOME: home.folder, PATH: process.env['PATH'] } },
      );
      const ran = await finished(child);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain(`${file} cannot be written: EACCES`);
      expect(await home.read('locked/m.json')).toBe(one);
      expect(await readdir(locked)).toEqual(['m.json']);
    },
  );
});
