import { appendFile, chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Desk, openDesk } from './desk.js';

/** A project's file may have been written by the agent itself. */

let desk: Desk;
let file: string;
beforeEach(async () => {
  desk = await openDesk();
  file = join(desk.cwd, 'gatebook.toml');
});
afterEach(() => desk.remove());

async function held(...names: string[]): Promise<unknown[]> {
  const ran = await desk.run(['config', 'show', '--json']);
  expect(ran.code, ran.stderr).toBe(0);
  const all = JSON.parse(ran.stdout) as Record<string, unknown>;
  return names.map((name) => all[`security.${name}`]);
}

const limiting = 'rate_limiting.requests_per_minute';

/** Keys, values that weaken, and what holds without them. */
const weaker: readonly (readonly [string, string, unknown])[] = [
  ['audit.enabled', 'false', true],
  ['audit.log_path', '"elsewhere"', null],
  ['audit.keys_path', '"elsewhere"', null],
  ['audit.signing_key_path', '"mine.pem"', null],
  ['audit.on_log_failure', '"allow"', 'refuse'],
  ['audit.log_commands', 'false', true],
  ['audit.log_tool_executions', 'false', true],
  ['audit.log_file_access', 'false', true],
  ['audit.log_auth_events', 'false', true],
  ['audit.log_config_changes', 'false', true],
  ['audit.log_policy_violations', 'false', true],
  ['audit.content', '"off"', null],
  ['audit.retention_days', '1', null],
  ['audit.max_total_mb', '1', null],
  ['audit.max_records', '1', null],
  ['audit.anchor_commands', '["touch pwned"]', []],
  ['audit.anchor_files', '["/etc/x"]', []],
  ['audit.witness_interval', '"1d"', '60s'],
  ['rate_limiting.requests_per_minute', '61', 60],
  ['rate_limiting.tool_executions_per_minute', '31', 30],
  ['policy.enabled', 'false', true],
  ['policy.allow', '["exec:*"]', []],
  ['policy.ask_at', '"critical"', 'high'],
  ['policy.files', '["mine.cedar"]', []],
  ['policy.on_tool_change', '"record"', 'ask'],
  ['runaway.enabled', 'false', true],
  ['runaway.identical_calls', '51', 50],
  ['runaway.failures', '26', 25],
];

/** Where these commands do what a policy would ask about. */
const unrated = { GATEBOOK_SECURITY_POLICY_ENABLED: 'false' };

describe('a project file', () => {
  it('makes things stricter, and no looser', async () => {
    await desk.writeUser('[security.rate_limiting]\nenabled = true\nrequests_per_minute = 50\n');
    await writeFile(file, '[security.rate_limiting]\nrequests_per_minute = 51\n');
    expect(await held(limiting)).toEqual([50]);
    await writeFile(file, '[security.rate_limiting]\nrequests_per_minute = 49\n');
    expect(await held(limiting)).toEqual([49]);
    await writeFile(file, '[security.rate_limiting]\nenabled = false\n');
    expect(await held('rate_limiting.enabled')).toEqual([true]);
  });

  it('bounds what nothing bounds, and raises no bound that holds', async () => {
    await writeFile(file, '[security.runaway]\ncalls = 100\nwall_time = "2h"\n');
    expect(await held('runaway.calls', 'runaway.wall_time')).toEqual([100, '2h']);
    await desk.writeUser('[security.runaway]\ncalls = 99\nwall_time = "1h"\n');
    expect(await held('runaway.calls', 'runaway.wall_time')).toEqual([99, '1h']);
  });

  it('sets nothing that would weaken what holds before it is trusted', async () => {
    const lines = weaker.map(([name, value]) => `security.${name} = ${value}\n`);
    await writeFile(file, `security.rate_limiting.enabled = true\n${lines.join('')}`);
    await writeFile(join(desk.cwd, 'mine.cedar'), '');
    const before = await desk.run(['config', 'show', '--json']);
    const names = weaker.map(([name]) => `security.${name}`);
    expect(before.stderr).toContain(`ignored, because ${file} is not trusted`);
    expect(before.stderr.trim().split(': ').at(-1)?.split(', ').sort()).toEqual(names.sort());
    const usual = Object.fromEntries(weaker.map(([name, , held]) => [`security.${name}`, held]));
    expect(JSON.parse(before.stdout)).toMatchObject(usual);
    expect(await desk.run(['config', 'trust', '--yes'])).toMatchObject({ code: 0 });
    const after = await desk.run(['config', 'show', '--json']);
    const values = JSON.parse(after.stdout) as Record<string, unknown>;
    for (const name of names) expect(values[name], name).not.toEqual(usual[name]);
    expect(after.stderr).toBe('');
  });

  it('takes no limit away from those that hold', async () => {
    const mine = 'rate = "1/s"';
    await desk.writeUser(
      `[security.rate_limiting]\nenabled = true\nlimits = { a = { ${mine} } }\n`,
    );
    const usual = { scope: [], shadow: false };
    const a = { rate: '1/s', ...usual };
    const limits = 'security.rate_limiting.limits';
    await writeFile(file, `[${limits}.b]\nrate = "1/s"\n[${limits}.a]\nrate = "2/s"\n`);
    expect(await held('rate_limiting.limits')).toEqual([{ a }]);
    await writeFile(file, `[${limits}.b]\nrate = "1/s"\n`);
    expect(await held('rate_limiting.limits')).toEqual([{ a }]);
    await writeFile(file, `[${limits}.b]\nrate = "3/s"\n[${limits}.a]\n${mine}\n`);
    expect(await held('rate_limiting.limits')).toEqual([{ a, b: { rate: '3/s', ...usual } }]);
  });

  it('is in the book with what it tried, and the command runs under what holds', async () => {
    await writeFile(
      file,
      '[security.audit]\nenabled = false\nlog_path = "mine"\nrotate = "daily"\n',
    );
    const ran = await desk.run(['exec', '--', 'echo', 'ran']);
    expect(ran).toMatchObject({ code: 0, stdout: 'ran\n' });
    const names = ['security.audit.enabled', 'security.audit.log_path'];
    expect(ran.stderr.split('\n').filter((line) => line.includes('not trusted'))).toEqual([
      `gatebook: ignored, because ${file} is not trusted (look at it, then: gatebook config trust): ${names.join(', ')}`,
    ]);
    const records = await desk.records();
    expect(records.map((record) => record.event_type)).toEqual([
      'log.opened',
      'security_event',
      'command_execution',
      'command_execution',
      'log.closed',
    ]);
    expect(records[0]?.details).toMatchObject({ rotate: 'daily' });
    expect(records[1]).toMatchObject({
      security: { policy_violation: true, rule: 'config.untrusted' },
      details: { keys: names },
    });
  });

  it('is trusted as it is, and where it is, and not when it has changed', async () => {
    await writeFile(file, '[security.audit]\nlog_commands = false\n');
    const ran = await desk.run(['config', 'trust', '--yes']);
    expect(ran.stderr).toContain(`${file}:2:1: security.audit.log_commands = false`);
    expect(await held('audit.log_commands')).toEqual([false]);
    await appendFile(file, '#\n');
    expect(await held('audit.log_commands')).toEqual([true]);
    await writeFile(file, '[security.audit]\nlog_commands = false\n');
    expect(await held('audit.log_commands')).toEqual([false]);
    await mkdir(join(desk.cwd, 'below'));
    await writeFile(
      join(desk.cwd, 'below', 'gatebook.toml'),
      '[security.audit]\nlog_commands = false\n',
    );
    const below = await desk.run(
      [
        'exec',
        '--',
        'sh',
        '-c',
        'cd below && "$0" "$1" config show',
        process.execPath,
        await bin(),
      ],
      unrated,
    );
    expect(below.stdout).toContain('log_commands = true');
  });

  it('is trusted by a file that only this user can write', async () => {
    await writeFile(file, '[security.audit]\nlog_commands = false\n');
    await desk.run(['config', 'trust', '--yes']);
    const folder = join(desk.userFile, '..', 'trust');
    const [entry = ''] = await readdir(folder);
    expect((await readdir(folder)).length).toBe(1);
    expect((await stat(join(folder, entry))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    await chmod(join(folder, entry), 0o666);
    const ran = await desk.run(['config', 'show']);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('others may write to it');
  });

  it('is not trusted while it is wrong', async () => {
    await writeFile(file, '[security.audit]\nlog_commands = 0\n');
    const ran = await desk.run(['config', 'trust', '--yes']);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(`${file}:2:16: `);
    expect((await desk.run(['exec', '--', 'echo', 'ran'])).code).toBe(2);
  });

  it('is looked for up to the root of the repository, and outside of one nowhere above', async () => {
    const deep = join(desk.cwd, 'a', 'b');
    await mkdir(deep, { recursive: true });
    await writeFile(file, '[security.audit]\nrotate = "daily"\n');
    const show = ['sh', '-c', `cd ${deep} && "$0" "$1" config show`, process.execPath, await bin()];
    expect((await desk.run(['exec', '--', ...show], unrated)).stdout).toContain('rotate = "size"');
    await mkdir(join(desk.cwd, '.git'));
    expect((await desk.run(['exec', '--', ...show], unrated)).stdout).toContain('rotate = "daily"');
    await mkdir(join(desk.cwd, 'a', '.git'));
    expect((await desk.run(['exec', '--', ...show], unrated)).stdout).toContain('rotate = "size"');
  });
});

describe('the user’s file', () => {
  it('counts for nothing where others may write to it', async () => {
    await desk.writeUser('');
    await chmod(desk.userFile, 0o620);
    const ran = await desk.run(['exec', '--', 'echo', 'ran']);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(`${desk.userFile}:1:1: others may write to it`);
  });
});

async function bin(): Promise<string> {
  return (await import('../cli/gatebook.js')).gatebookBin;
}
