import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clients, front, type Home, openHome } from './home.js';

const before = `{
  "mcpServers": {
    "a": {"command": "npx", "args": [ "-y",
         "s" ] },
    "b": { "command": "\\u0078" /* x */ },
    "c": { "args": [ ], "command": "y" },
    "d": { "env": {}, "args": ["1"], "command": "z" },
    "far": { "url": "https://far.example" }
  },
  "other": 1e0
}`;

describe.skipIf(process.platform !== 'linux')('gatebook uninstall', () => {
  let home: Home;
  beforeEach(async () => {
    home = await openHome();
    await home.write('.cursor/mcp.json', before);
    expect((await home.run(['init', '--client', 'cursor'])).code).toBe(0);
  });
  afterEach(() => home.remove());

  const undo = ['uninstall', '--client', 'cursor'];

  it('gives back the file byte for byte; log, keys and configuration stay and are named', async () => {
    const keys = await readdir(home.keys);
    const book = await readFile(join(home.log, 'segments', `${'0'.repeat(20)}.jsonl`));
    expect(await home.read('.cursor/mcp.json')).not.toBe(before);
    const ran = await home.run(undo);
    expect(ran.code, ran.stderr).toBe(0);
    expect(await home.read('.cursor/mcp.json')).toBe(before);
    for (const kept of [home.log, home.keys, home.config]) {
      expect(ran.stdout).toContain(`${kept} (stays)`);
      expect(existsSync(kept)).toBe(true);
    }
    expect(await readdir(home.keys)).toEqual(keys);
    expect(await readFile(join(home.log, 'segments', `${'0'.repeat(20)}.jsonl`))).toEqual(book);
    const again = await home.run(undo);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('was not behind') });
    expect(await home.read('.cursor/mcp.json')).toBe(before);
  });

  it('what was added or edited since is kept', async () => {
    const wired = await home.read('.cursor/mcp.json');
    const edited = wired
      .replace('"far"', '"new": { "command": "n" },\n    "far"')
      .replace('"env": {}', '"env": {"K": "v"} /* since */')
      .replace('"s" ]', '"s", "more" ]');
    await home.write('.cursor/mcp.json', edited);
    expect((await home.run(undo)).code).toBe(0);
    const expected = before
      .replace('"far"', '"new": { "command": "n" },\n    "far"')
      .replace('"env": {}', '"env": {"K": "v"} /* since */')
      .replace('"s" ]', '"s", "more" ]');
    expect(await home.read('.cursor/mcp.json')).toBe(expected);
  });

  it('without a backup the servers are started as before, though a list may stand where there was none', async () => {
    await rm(join(home.folder, '.cursor/mcp.json.gatebook-backup'));
    expect((await home.run(undo)).code).toBe(0);
    const expected = before
      .replace('"\\u0078" /* x */', '"\\u0078", "args": [] /* x */')
      .replace('[ ]', '[]');
    expect(await home.read('.cursor/mcp.json')).toBe(expected);
  });

  it('a later wiring has a backup of its own, and the first is never overwritten', async () => {
    const wired = await home.read('.cursor/mcp.json');
    const more = wired.replace('"far"', '"new": { "command": "n" },\n    "far"');
    await home.write('.cursor/mcp.json', more);
    expect((await home.run(['init', '--client', 'cursor'])).code).toBe(0);
    expect(await home.read('.cursor/mcp.json.gatebook-backup')).toBe(before);
    expect(await home.read('.cursor/mcp.json.gatebook-backup-2')).toBe(more);
    expect((await home.run(undo)).code).toBe(0);
    expect(await home.read('.cursor/mcp.json')).toBe(
      before.replace('"far"', '"new": { "command": "n" },\n    "far"'),
    );
  });

  it('a gate that was put there by hand is taken away too, and one that nobody can read is named', async () => {
    const hand = { command: 'gatebook', args: ['mcp', '--user', 'ada', '--', 'npx', 'x'] };
    const early = { command: 'gatebook', args: ['--log', '/l', 'mcp', '--', 'y'] };
    const none = { command: 'gatebook', args: ['mcp', 'npx', 'x'] };
    const other = { command: 'gatebook', args: ['audit', '--', 'mcp', '--', 'x'] };
    await home.write(
      '.cursor/mcp.json',
      JSON.stringify({ mcpServers: { hand, early, none, other } }),
    );
    const ran = await home.run(undo);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/none: left as it is: .*mcp\.json:1:\d+: /);
    expect(JSON.parse(await home.read('.cursor/mcp.json')).mcpServers).toEqual({
      hand: { command: 'npx', args: ['x'] },
      early: { command: 'y', args: [] },
      none,
      other,
    });
  });

  it('--dry-run writes nothing', async () => {
    const wired = await home.read('.cursor/mcp.json');
    const ran = await home.run([...undo, '--dry-run']);
    expect(ran.stdout).toContain(`-    "b": { "command": "${front[0]}"`);
    expect(await home.read('.cursor/mcp.json')).toBe(wired);
  });

  it('without --client it goes through all clients; a file that is wrong keeps no other from being set right', async () => {
    for (const [client, file, table] of clients) {
      if (client === 'cursor') continue;
      await home.write(file, JSON.stringify({ [table]: { s: { command: 'x', args: ['1'] } } }));
      expect((await home.run(['init', '--client', client])).code).toBe(0);
    }
    await home.write('.claude.json', '{');
    // Nor does a configuration that is.
    await home.write('.config/gatebook/config.toml', 'x');
    const ran = await home.run(['uninstall']);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('.claude.json:1:2: ');
    expect(await home.read('.cursor/mcp.json')).toBe(before);
    for (const [client, file, table] of clients) {
      if (client === 'cursor' || client === 'claude-code') continue;
      expect(await home.read(file)).toBe(`{"${table}":{"s":{"command":"x","args":["1"]}}}`);
    }
  });
});
