import { readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Home, openHome } from './home.js';

describe('the configuration that init makes', () => {
  let home: Home;
  beforeEach(async () => {
    home = await openHome();
  });
  afterEach(() => home.remove());

  it('has every key with its default, changes nothing, and is the user’s alone', async () => {
    const bare = await home.run(['config', 'show']);
    const ran = await home.run(['init']);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toContain(`config      ${home.config} (made)\n`);
    expect((await stat(home.config)).mode & 0o777).toBe(0o600);
    expect(await home.run(['config', 'show'])).toEqual(bare);
    expect(await home.run(['config', 'check'])).toMatchObject({ code: 0 });
    const text = await readFile(home.config, 'utf8');
    const names = Object.keys(JSON.parse((await home.run(['config', 'show', '--json'])).stdout));
    expect(names.length).toBeGreaterThan(20);
    for (const name of names)
      expect(text).toMatch(new RegExp(`^#${name.split('.').at(-1)} =`, 'm'));
    // With the # taken away, each default is what holds anyway; two mean nothing without a third.
    const plain = text.replace(/^#(?!keep_types|holds)(?=\w+ = )/gm, '');
    expect(plain).toContain('\nenabled = true\n');
    await writeFile(home.config, plain);
    expect((await home.run(['config', 'check'])).stderr).toContain('good');
    expect(await home.run(['config', 'show'])).toEqual(bare);
  });

  it('one that is there is not touched, nor what a link of that name points to', async () => {
    await home.write('.config/gatebook/config.toml', '# mine\n');
    const ran = await home.run(['init']);
    expect(ran.stdout).toContain(`${home.config} (already there, not touched)`);
    expect(await readFile(home.config, 'utf8')).toBe('# mine\n');
    await symlink(join(home.folder, 'nowhere'), join(home.work, 'gatebook.toml'));
    const linked = await home.run(['init', '--project']);
    expect(linked.stdout).toContain('gatebook.toml (already there, not touched)');
    await expect(stat(join(home.folder, 'nowhere'))).rejects.toThrow('ENOENT');
  });

  it('--project makes one in the working directory, and none for the user', async () => {
    const ran = await home.run(['init', '--project']);
    expect(ran.code, ran.stderr).toBe(0);
    expect((await stat(join(home.work, 'gatebook.toml'))).mode & 0o777).toBe(0o644);
    await expect(stat(home.config)).rejects.toThrow('ENOENT');
    expect(await home.run(['config', 'check'])).toMatchObject({ code: 0 });
  });
});
