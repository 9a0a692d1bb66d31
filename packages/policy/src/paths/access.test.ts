import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Access, ratePath } from './access.js';
import { canonicalPath, type Surroundings } from './canonical.js';
import { matchesPattern } from './pattern.js';

const around: Surroundings = {
  home: '/home/ada',
  workspace: '/home/ada/work/app',
  gateFiles: ['/home/ada/.config/gatebook', '/home/ada/work/app/gatebook.toml'],
};

describe('one place has one spelling:', () => {
  const spellings: [string, string][] = [
    ['/home/ada/work/app/src/../x.ts', 'x.ts'],
    ['./x//y/./z/', 'x/y/z'],
    ['/home/ada/.ssh/id_rsa', '~/.ssh/id_rsa'],
    ['../../.ssh/id_rsa', '~/.ssh/id_rsa'],
    ['file:///home/ada/%2Essh/id_rsa', '~/.ssh/id_rsa'],
    ['/proc/self/root/etc/shadow', '/etc/shadow'],
    ['/proc/1/root/proc/self/root/etc/../etc/shadow', '/etc/shadow'],
    ['/proc/thread-self/cwd/.git/hooks', '.git/hooks'],
    ['/../../etc//passwd', '/etc/passwd'],
    ['/root/.bashrc', '~/.bashrc'],
    ['/proc/self/cwd/../../.ssh/id_rsa', '~/.ssh/id_rsa'],
    ['/proc//self/./root/etc/shadow', '/etc/shadow'],
    ['~bob/.bashrc', '~/.bashrc'],
    ['/home/ada', '~'],
    ['/home/ada/work/app', '.'],
  ];
  test.each(spellings)('%s', (written, canonical) => {
    expect(canonicalPath(written, around)).toBe(canonical);
  });
});

test('a spelling does not change when it is spelled again', () => {
  const part = fc.constantFrom(
    '..',
    '.',
    '',
    'a',
    '~',
    'proc',
    'self',
    'root',
    'home',
    'ada',
    'etc',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const once = canonicalPath(parts.join('/'), around);
      expect(canonicalPath(once, around)).toBe(once);
    }),
  );
});

describe('a place is known however it is written:', () => {
  const cases: [string, Access, string | undefined][] = [
    ['~/.ssh/id_rsa', 'read', 'path-ssh'],
    ['~/.SSH/ID_RSA', 'read', 'path-ssh'],
    ['../../../../../home/eve/.ssh/id_rsa', 'read', 'path-ssh'],
    ['~/.ssh/id_rsa.pub', 'read', undefined],
    ['~/.ssh/authorized_keys', 'write', 'path-ssh'],
    ['~/.ssh/config', 'write', 'path-ssh-settings'],
    ['~/.ssh', 'list', 'path-ssh'],
    ['.env', 'read', 'path-env-file'],
    ['.env', 'list', undefined],
    ['.env.example', 'read', undefined],
    ['deploy/.env.production', 'read', 'path-env-file'],
    ['/etc/passwd', 'read', 'path-passwords'],
    ['/etc/os-release', 'read', undefined],
    ['/etc/hosts', 'write', 'path-system'],
    ['.git/hooks/pre-commit', 'write', 'path-git-internals'],
    ['sub/.git/config', 'write', 'path-git-internals'],
    ['.gitignore', 'write', undefined],
    ['src/app.ts', 'write', undefined],
    ['/tmp/out.txt', 'write', undefined],
    ['/home/ada/other/x', 'write', 'path-outside'],
    ['/dev/null', 'write', undefined],
    ['/dev/sda', 'write', 'path-disk'],
    ['~/.bashrc', 'write', 'path-shell-startup'],
    ['~/.bashrc', 'read', undefined],
    ['gatebook.toml', 'write', 'path-gate'],
    ['/home/ada/.config/gatebook/key', 'read', 'path-gate'],
    ['/home/ada/.config', 'write', 'path-gate'],
    ['/proc/self/environ', 'read', 'path-process-memory'],
  ];
  test.each(cases)('%s %s', (written, access, rule) => {
    expect(ratePath({ written }, access, around)[0]?.rule).toBe(rule);
  });
});

test('a pattern that may stand for a secret counts as that secret', () => {
  for (const written of ['~/.ss*/id_r?a', '/etc/sh?dow', '/etc/pass[w]d', '~/.aw*/*', '/dev/sd?']) {
    expect(ratePath({ written, pattern: true }, 'read', around)).toHaveLength(1);
  }
  for (const written of ['src/*.ts', '*.md', 'packages/*/package.json', '~/*', '*']) {
    expect(ratePath({ written, pattern: true }, 'read', around)).toEqual([]);
  }
});

test('a pattern matches what the same regular expression does', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '/'), maxLength: 10 });
  const path = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 10 });
  fc.assert(
    fc.property(letters, path, (pattern, text) => {
      // Names with a dot at their head have a test of their own.
      const source = pattern.replace(/\*+/g, '[^/]*').replace(/\?/g, '[^/]');
      expect(matchesPattern(pattern, text)).toBe(new RegExp(`^${source}$`).test(text));
    }),
  );
});

describe('a file of the work that the gate goes by', () => {
  const settingsFiles = ['/home/ada/work/app/gatebook.toml', '/home/ada/work/app/rules/my.cedar'];
  const cases: [string, Access, boolean, string | undefined][] = [
    ['gatebook.toml', 'write', false, 'critical'],
    ['rules/my.cedar', 'write', false, 'critical'],
    ['/home/ada/work/app/x/../RULES/My.cedar', 'write', false, 'critical'],
    ['rules/*', 'write', true, 'high'],
    // Everyday work on what it lies beside.
    ['/home/ada/work/app', 'write', false, undefined],
    ['rules', 'write', false, undefined],
    ['rules/my.cedar', 'read', false, undefined],
    ['rules/other.cedar', 'write', false, undefined],
  ];
  test.each(cases)('%s, %s: %s', (written, access, pattern, risk) => {
    const workspace = '/home/ada/work/app';
    const [found] = ratePath({ written, pattern }, access, { workspace, settingsFiles });
    expect(found?.risk).toBe(risk);
    if (risk !== undefined) expect(found?.rule).toBe('path-gate');
  });

  test('is one where no workspace is known, and its folder is not', () => {
    const rated = (written: string) => ratePath({ written }, 'write', { settingsFiles });
    expect(rated('/home/ada/work/app/rules/my.cedar')[0]?.risk).toBe('critical');
    expect(rated('/home/ada/work/app')).toEqual([]);
  });
});
