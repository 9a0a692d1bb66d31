import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, lstat, readdir, rename, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finished, linesOf } from '../cli/gatebook.js';
import { clients, type Entry, front, type Home, openHome, wordsOf } from './home.js';

describe.skipIf(process.platform !== 'linux')('a client’s servers behind the gate', () => {
  let home: Home;
  beforeEach(async () => {
    home = await openHome();
  });
  afterEach(() => home.remove());

  it.each(
    clients,
  )('%s: every server that it starts, in its own file', async (client, file, table) => {
    const entries = {
      files: { command: 'npx', args: ['-y', 'server', '/a b'], env: { TOKEN: 'secret' }, x: [1] },
      bare: { type: 'stdio', command: '/opt/my server/run' },
      empty: { command: 'uvx', args: [] },
      windows: { command: 'C:\\Program Files\\s.exe', args: ['C:\\x\\'] },
      far: { url: 'https://far.example/mcp' },
      typed: { type: 'http', url: 'https://far.example/mcp' },
    };
    const other = { theme: 'dark', deep: [{ [table]: { no: { command: 'x' } } }] };
    const before = `${JSON.stringify({ ...other, [table]: entries }, undefined, '\t')}\n`;
    await home.write(file, before);
    const ran = await home.run(['init', '--client', client]);
    expect(ran.code, ran.stderr).toBe(0);
    const after = JSON.parse(await home.read(file));
    for (const name of ['files', 'bare', 'empty', 'windows'] as const) {
      const was: Entry = entries[name];
      expect(wordsOf(after[table][name])).toEqual([...front, ...wordsOf(was)]);
      expect(after[table][name]).toMatchObject({
        ...was,
        command: front[0],
        args: expect.anything(),
      });
    }
    expect({ ...after, [table]: { far: after[table].far, typed: after[table].typed } }).toEqual({
      ...other,
      [table]: { far: entries.far, typed: entries.typed },
    });
    expect(ran.stdout).toMatch(/^server +far: not guarded, for it is reached by URL$/m);
    expect(ran.stdout).toMatch(/^server +typed: not guarded/m);
    expect(ran.stdout).toMatch(/^log +.*\(made\)$/m);
    expect(await home.read(`${file}.gatebook-backup`)).toBe(before);

    const wired = await home.read(file);
    const again = await home.run(['init', '--client', client]);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('already') });
    expect(await home.read(file)).toBe(wired);
    const names = await readdir(join(home.folder, file, '..'));
    expect(names.filter((name) => name.includes('backup'))).toHaveLength(1);
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('claude-code: also the servers of each project', async () => {
    const own = { a: { command: 'x', args: ['1'] } };
    const projects = { '/p': { mcpServers: own, history: ['mcpServers'] }, '/q': {}, '/r': null };
    await home.write('.claude.json', JSON.stringify({ projects }));
    const ran = await home.run(['init', '--client', 'claude-code']);
    expect(ran.stdout).toContain('a (/p): is behind the gate now');
    const after = JSON.parse(await home.read('.claude.json'));
    expect(wordsOf(after.projects['/p'].mcpServers.a)).toEqual([...front, 'x', '1']);
    expect(after.projects['/p'].history).toEqual(['mcpServers']);
  });

  it('what is written starts the server and records its calls, with no PATH to find anything on', async () => {
    const server = `process.stdin.once('data', () => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: [], env: process.env.TOKEN } }) + '\\n'));`;
    const entry = { command: process.execPath, args: ['-e', server], env: { TOKEN: 'kept' } };
    await home.write('.cursor/mcp.json', JSON.stringify({ mcpServers: { one: entry } }));
    expect((await home.run(['init', '--client', 'cursor'])).code).toBe(0);
    const wired = JSON.parse(await home.read('.cursor/mcp.json')).mcpServers.one;
    const child = spawn(wired.command, wired.args, {
      cwd: home.work,
      env: { HOME: home.folder, PATH: '/nowhere', ...wired.env },
    });
    child.stdin.write(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{}}}\n`,
    );
    child.stdout.once('data', () => child.stdin.end());
    const ran = await finished(child);
    expect(JSON.parse(linesOf(ran.stdout)[0] ?? '')).toMatchObject({ result: { env: 'kept' } });
    const book = await home.run(['audit', '--format', 'json', '--type', 'tool_execution']);
    expect(linesOf(book.stdout)).toHaveLength(2);
  });

  it('the file keeps its mode, and a link to it stays one', async () => {
    const real = await home.write('dotfiles/mcp.json', '{"mcpServers":{"a":{"command":"x"}}}');
    await chmod(real, 0o640);
    const link = join(home.folder, 'mcp.json');
    await symlink(real, link);
    const ran = await home.run(['init', '--client', 'cursor', '--file', link]);
    expect(ran.code, ran.stderr).toBe(0);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    for (const file of [real, `${real}.gatebook-backup`]) {
      expect((await stat(file)).mode & 0o777, file).toBe(0o640);
    }
    expect(JSON.parse(await home.read('dotfiles/mcp.json')).mcpServers.a.command).toBe(front[0]);
  });

  it('comments, indentation, line ends and a byte order mark stay; lists grow as they are written', async () => {
    const before = `\uFEFF{\r\n\t// mine\r\n\t"servers": {\r\n\t\t"a": {\r\n\t\t\t"command": "x", // why\r\n\t\t\t"args": [\r\n\t\t\t\t"-y", /* yes */\r\n\t\t\t\t"\\u0062",\r\n\t\t\t],\r\n\t\t},\r\n\t}\r\n}`;
    await home.write('m.json', before);
    const ran = await home.run([
      'init',
      '--client',
      'vscode',
      '--file',
      join(home.folder, 'm.json'),
    ]);
    expect(ran.code, ran.stderr).toBe(0);
    const quoted = front.map((word) => JSON.stringify(word));
    const lines = [...quoted.slice(1), '"x"', '"-y"'].join(',\r\n\t\t\t\t');
    const after = before
      .replace('"command": "x"', `"command": ${quoted[0]}`)
      .replace('"-y"', lines);
    expect(await home.read('m.json')).toBe(after);
  });

  it('--dry-run prints a diff that patch takes, and writes nothing', async () => {
    const before =
      '{\n  "mcpServers": {\n    "a": {\n      "env": { "K": "secret" },\n      "command": "x",\n      "args": [\n        "1"\n      ]\n    },\n    "b": { "command": "y" }\n  }\n}\n';
    const file = await home.write('.cursor/mcp.json', before);
    const ran = await home.run(['init', '--client', 'cursor', '--dry-run']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('(would be made)');
    expect(ran.stdout).not.toContain('secret');
    expect(await home.read('.cursor/mcp.json')).toBe(before);
    expect(existsSync(join(home.folder, '.config'))).toBe(false);
    expect(existsSync(join(home.folder, '.local'))).toBe(false);
    expect(await readdir(join(home.folder, '.cursor'))).toEqual(['mcp.json']);
    const diff = ran.stdout.slice(ran.stdout.indexOf('---'));
    const patched = spawn('patch', ['-s', '--unified', file]);
    patched.stdin.end(diff);
    expect(await finished(patched)).toMatchObject({ code: 0 });
    const byPatch = await home.read('.cursor/mcp.json');
    await home.write('.cursor/mcp.json', before);
    expect((await home.run(['init', '--client', 'cursor'])).code).toBe(0);
    expect(await home.read('.cursor/mcp.json')).toBe(byPatch);
  });

  it('a log elsewhere is named to the gate, for a client has none of the shell’s variables', async () => {
    const log = join(home.folder, 'book');
    const keys = join(home.folder, 'book-keys');
    await home.write('.cursor/mcp.json', '{"mcpServers":{"a":{"command":"x"}}}');
    const env = { GATEBOOK_LOG: log };
    const ran = await home.run(['init', '--client', 'cursor', '--keys', keys], env);
    expect(ran.code, ran.stderr).toBe(0);
    const { a } = JSON.parse(await home.read('.cursor/mcp.json')).mcpServers;
    const named = ['--log', log, '--keys', keys, '--', 'x'];
    expect(wordsOf(a)).toEqual([...front.slice(0, -1), ...named]);
    expect(existsSync(home.config)).toBe(false);
    expect((await home.run(['uninstall', '--client', 'cursor'])).code).toBe(0);
    expect(await home.read('.cursor/mcp.json')).toBe('{"mcpServers":{"a":{"command":"x"}}}');
  });

  it('a log that another user writes: the gate is told its socket, and no log is made', async () => {
    const before = '{"mcpServers":{"a":{"command":"x"}}}';
    await home.write('.cursor/mcp.json', before);
    const args = ['init', '--client', 'cursor'];
    const served = { GATEBOOK_SOCKET: '/run/gatebook/s' };
    const refused = await home.run(args, { ...served, GATEBOOK_TOKEN: 'hush' });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('_TOKEN_FILE') });
    expect(await home.read('.cursor/mcp.json')).toBe(before);
    const ran = await home.run(args, { ...served, GATEBOOK_TOKEN_FILE: '/t' });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toContain('behind /run/gatebook/s');
    const { a } = JSON.parse(await home.read('.cursor/mcp.json')).mcpServers;
    const options = ['--socket', '/run/gatebook/s', '--token-file', '/t'];
    expect(wordsOf(a)).toEqual([...front.slice(0, -1), ...options, '--', 'x']);
    expect(existsSync(home.log)).toBe(false);
    expect((await home.run(['uninstall', '--client', 'cursor'])).code).toBe(0);
    expect(await home.read('.cursor/mcp.json')).toBe(before);
  });

  it('a gate that was put there by hand stays, and one whose gatebook is gone is pointed at this one', async () => {
    const gone = {
      command: '/gone/node',
      args: ['/gone/bin/gatebook.js', 'mcp', '--user', 'u', '--', 'y', 'z'],
    };
    const hand = { command: 'gatebook', args: ['mcp', '--user', 'ada', '--', 'npx', 'x'] };
    const npx = { command: 'npx', args: ['-y', 'gatebook@0.1.0', 'mcp', '--', 'x'] };
    await home.write('.cursor/mcp.json', JSON.stringify({ mcpServers: { gone, hand, npx } }));
    const ran = await home.run(['init', '--client', 'cursor']);
    expect(ran.stdout).toMatch(/gone: is behind the gate again/);
    expect(JSON.parse(await home.read('.cursor/mcp.json')).mcpServers).toEqual({
      hand,
      npx,
      gone: { command: front[0], args: [...front.slice(1), 'y', 'z'] },
    });
  });

  it('a file of the project is named and not looked at', async () => {
    await home.write('.claude.json', '{"mcpServers":{"a":{"command":"x"}}}');
    await home.write('work/.mcp.json', '{"mcpServers":{"b":{"command":"y"}}}');
    const ran = await home.run(['init', '--client', 'claude-code']);
    expect(ran.stderr).toContain('--file .mcp.json');
    expect(await home.read('work/.mcp.json')).toBe('{"mcpServers":{"b":{"command":"y"}}}');
    await rename(join(home.work, '.mcp.json'), join(home.work, 'other.json'));
    const named = await home.run(['init', '--client', 'claude-code', '--file', 'other.json']);
    expect(named.stdout).toContain('b: is behind the gate now');
  });
});
