import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gatebookBin } from '../cli/gatebook.js';
import { onTerminal } from '../gate/terminal.js';
import { type Desk, openDesk, type Stored } from './desk.js';

/** Who may say that a project's file is trusted, what they see, and what is in the book of it. */

let desk: Desk;
let file: string;
beforeEach(async () => {
  desk = await openDesk();
  file = join(desk.cwd, 'gatebook.toml');
  await writeFile(
    file,
    '[security.audit]\nlog_commands = false\nanchor_commands = ["curl -H key:hunter1"]\n',
  );
});
afterEach(() => desk.remove());

async function trusted(): Promise<boolean> {
  const ran = await desk.run(['config', 'show', '--json']);
  return (
    (JSON.parse(ran.stdout) as Record<string, unknown>)['security.audit.log_commands'] === false
  );
}

async function changes(): Promise<Stored[]> {
  return (await desk.records()).filter((record) => record.event_type === 'config_change');
}

const trust = (...more: readonly string[]): string[] => ['config', 'trust', ...more];

describe('gatebook config trust', () => {
  it('shows what would hold, asks a person, and has the yes in the book', async () => {
    await desk.run(['init']);
    const no = await onTerminal(trust(file), 'n\n', desk.env);
    expect(no.code).toBe(1);
    expect(no.text).toContain(`${file}:2:1: security.audit.log_commands = false`);
    expect(no.text).toContain(`${file}:3:1: security.audit.anchor_commands = (not shown)`);
    expect(await trusted()).toBe(false);
    expect(await changes()).toEqual([]);
    const yes = await onTerminal(trust(file), 'y\n', desk.env);
    expect(yes, yes.text).toMatchObject({ code: 0 });
    expect(await trusted()).toBe(true);
    const [change, ...more] = await changes();
    expect(more).toEqual([]);
    expect(change?.details).toMatchObject({
      by: expect.any(String),
      trusted: {
        file,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        keys: [
          { key: 'security.audit.log_commands', value: false },
          { key: 'security.audit.anchor_commands', value: '(not shown)' },
        ],
      },
    });
    const shown = `${no.text}${yes.text}${JSON.stringify(await desk.records())}`;
    expect(shown).not.toContain('hunter');
  });

  it('needs a terminal, or --yes', async () => {
    const ran = await desk.run(trust());
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('needs a terminal, but stdin is none; without one give --yes');
    expect(await trusted()).toBe(false);
    expect(await desk.run(trust('--yes'))).toMatchObject({ code: 0 });
    expect(await trusted()).toBe(true);
  });

  it('is refused to what runs behind a gate, with --yes too', async () => {
    const unrated = { GATEBOOK_SECURITY_POLICY_ENABLED: 'false' };
    const own = [process.execPath, gatebookBin];
    for (const words of [trust('--yes'), trust('--revoke', '--yes')]) {
      const ran = await desk.run(['exec', '--', ...own, ...words], unrated);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('gatebook config trust is for people');
    }
    // A clean environment does not help: what started it has the mark.
    const clean = ['sh', '-c', 'env -u GATEBOOK_GATED "$@"; exit $?', 'sh'];
    const ran = await desk.run(['exec', '--', ...clean, ...own, ...trust('--yes')], unrated);
    expect(ran.stderr).toContain('gatebook config trust is for people');
    expect(await trusted()).toBe(false);
  });

  it('is refused where the log cannot take it, and done without a record where there is no log yet', async () => {
    const first = await desk.run(trust('--yes'));
    expect(first.stderr).toContain(`not recorded: there is no log at ${desk.folder}`);
    expect(await trusted()).toBe(true);
    await desk.run(trust('--revoke', '--yes'));
    await desk.run(['init']);
    await rm(join(desk.folder, 'config', 'gatebook', 'keys'), { recursive: true });
    const refused = await desk.run(trust('--yes'));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('nothing was done, because it cannot be recorded');
    expect(await trusted()).toBe(false);
  });

  it('--revoke trusts it no more, recorded, also when the file is wrong or gone', async () => {
    await desk.run(['init']);
    await desk.run(trust('--yes'));
    expect(await trusted()).toBe(true);
    const ran = await desk.run(trust('--revoke', '--yes'));
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toContain(`${file} is not trusted any more`);
    expect(await trusted()).toBe(false);
    expect((await changes()).map(({ details }) => Object.keys(details ?? {}))).toEqual([
      ['by', 'trusted'],
      ['by', 'untrusted'],
    ]);
    await desk.run(trust('--yes'));
    await writeFile(file, 'wrong = 1\n');
    expect((await desk.run(trust('--revoke', '--yes'))).stderr).toContain(
      'is not trusted any more',
    );
    await rm(file);
    const none = await desk.run(trust('--revoke', '--yes', file));
    expect(none).toMatchObject({ code: 0 });
    expect(none.stderr).toContain(`${file} was not trusted`);
    expect(await readdir(join(desk.userFile, '..', 'trust'))).toEqual([]);
  });
});

describe('a Cedar file that a project file names', () => {
  let cedar: string;
  beforeEach(async () => {
    cedar = join(desk.cwd, 'policy.cedar');
    await writeFile(cedar, '// looked at\n');
    await writeFile(file, '[security.policy]\nfiles = ["policy.cedar"]\n');
  });

  it('is trusted with it as it is, and when it is another one that is told and in the book', async () => {
    await desk.run(['init']);
    const ran = await desk.run(trust('--yes'));
    expect(ran.stderr).toContain(`${cedar}, sha256 `);
    const [change] = await changes();
    expect(change?.details).toMatchObject({
      trusted: { files: [{ path: cedar, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }] },
    });
    await writeFile(cedar, 'permit (principal, action, resource);\n');
    const after = await desk.run(['exec', '--', 'echo', 'ran']);
    expect(after.stderr).toContain(`${cedar}, named by ${file}, is not as it was trusted`);
    const attempt = (await desk.records()).find(
      ({ event_type: type }) => type === 'security_event',
    );
    expect(attempt).toMatchObject({
      security: { rule: 'config.untrusted' },
      details: { keys: ['security.policy.files'], changed: [cedar] },
    });
  });

  it('is for nobody behind the gate to write, nor is the project’s file, and both may be read', async () => {
    await desk.run(trust('--yes'));
    const written = await desk.run(['exec', '--', 'sh', '-c', 'echo x >> policy.cedar']);
    expect(written.code).toBe(126);
    expect(written.stderr).toContain('path-gate');
    const removed = await desk.run(['exec', '--', 'rm', file]);
    expect(removed.code).toBe(126);
    const read = await desk.run(['exec', '--', 'cat', 'gatebook.toml', 'policy.cedar']);
    expect(read).toMatchObject({ code: 0 });
    expect(read.stdout).toContain('looked at');
  });
});

describe('behind a gate', () => {
  const gated = { GATEBOOK_GATED: '1' };

  it('nobody sets up, takes away or changes keys', async () => {
    await rm(file);
    expect((await desk.run(['init'], gated)).code).toBe(1);
    expect(await readdir(desk.folder)).not.toContain('state');
    await desk.run(['init']);
    const out = join(desk.folder, 'key');
    for (const words of [
      ['init'],
      ['uninstall'],
      ['keys', 'rotate'],
      ['keys', 'retire'],
      ['keys', 'export', '--hmac', '--remove', '--output', out],
    ]) {
      const ran = await desk.run(words, gated);
      expect(ran, words.join(' ')).toMatchObject({ code: 1, stdout: '' });
      expect(ran.stderr, words.join(' ')).toContain(
        'is for people, not for what runs behind a gate',
      );
    }
    for (const words of [
      ['init', '--dry-run'],
      ['uninstall', '--dry-run'],
      ['keys', 'show'],
      ['keys', 'export', '--public'],
    ]) {
      expect(await desk.run(words, gated), words.join(' ')).toMatchObject({ code: 0 });
    }
  });
});
