import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { linesOf } from '../cli/gatebook.js';
import { type Desk, openDesk } from './desk.js';

let desk: Desk;
let file: string;
beforeEach(async () => {
  desk = await openDesk();
  file = join(desk.folder, 'theirs');
});
afterEach(() => desk.remove());

/** What an import gives holds here as it is. */
async function imported(text: string): Promise<{ values: object; told: string[]; toml: string }> {
  await writeFile(file, text);
  const ran = await desk.run(['config', 'import', file]);
  expect(ran.code, ran.stderr).toBe(0);
  await desk.writeUser(ran.stdout);
  const shown = await desk.run(['config', 'show', '--json', '--origin']);
  expect(shown.code, shown.stderr).toBe(0);
  const all = JSON.parse(shown.stdout) as Record<string, { origin: string; value: unknown }>;
  const mine = Object.entries(all).filter(([, { origin }]) => origin === 'user');
  const values = Object.fromEntries(mine.map(([name, { value }]) => [name, value]));
  return { values, told: linesOf(ran.stderr), toml: ran.stdout };
}

it('takes the security section of picoclaw', async () => {
  const { values, told } = await imported(
    JSON.stringify({
      agents: { defaults: {} },
      security: {
        ssrf: { enabled: true, block_private_ips: true },
        audit_logging: {
          enabled: true,
          log_tool_executions: true,
          log_auth_events: false,
          log_config_changes: true,
          retention_days: 30,
          verbose: true,
        },
        rate_limiting: {
          enabled: true,
          requests_per_minute: 60,
          tool_executions_per_minute: 30.5,
          per_user_limit: false,
        },
        prompt_injection: { enabled: false },
      },
    }),
  );
  expect(values).toEqual({
    'security.audit.enabled': true,
    'security.audit.log_tool_executions': true,
    'security.audit.log_auth_events': false,
    'security.audit.log_config_changes': true,
    'security.audit.retention_days': 30,
    'security.rate_limiting.enabled': true,
    'security.rate_limiting.requests_per_minute': 60,
    'security.rate_limiting.per_user_limit': false,
  });
  expect(told).toEqual([
    `gatebook: ${file}: security.ssrf is left out: it is not available in this version`,
    `gatebook: ${file}: security.audit_logging.verbose is left out: there is no such key here`,
    `gatebook: ${file}: security.rate_limiting.tool_executions_per_minute is left out: security.rate_limiting.tool_executions_per_minute must be a whole number from 0, not 30.5`,
    `gatebook: ${file}: security.prompt_injection is left out: it is not available in this version`,
    'gatebook: 4 keys or sections left out',
  ]);
});

it('takes the security section of zeroclaw, and says where the rest stands', async () => {
  const { values, told } = await imported(
    '[gateway]\nport = 1\n\n[security.audit]\nenabled = true\nlog_path = "audit.log"\nmax_size_mb = 100\nsign_events = false\n\n[security.sandbox]\nbackend = "auto"\n\n[security.otp]\nenabled = false\n',
  );
  expect(values).toEqual({
    'security.audit.enabled': true,
    'security.audit.max_size_mb': 100,
    'security.audit.sign_events': false,
  });
  expect(told).toEqual([
    `gatebook: ${file}:6:1: security.audit.log_path is left out: there it is a file of another format, here the folder of a log; name a new one`,
    `gatebook: ${file}:10:11: security.sandbox is left out: it is not available in this version`,
    `gatebook: ${file}:13:11: security.otp is left out: there is no such section here`,
    'gatebook: 3 keys or sections left out',
  ]);
});

it('says that limits are off where they were', async () => {
  const { toml } = await imported('{"rate_limiting": {"requests_per_minute": 5}}');
  expect(toml).toBe('[security.rate_limiting]\nrequests_per_minute = 5\nenabled = false\n');
});

it.each([
  ['another file', '[package]\nname = "x"\n', ':1:1: there is no security section'],
  ['no JSON', '{"security": ', ':1:1: it is no JSON'],
  ['no TOML', 'security\n', ':2:1: expected equal'],
])('refuses %s', async (_, text, fault) => {
  await writeFile(file, text);
  const ran = await desk.run(['config', 'import', file]);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toContain(`${file}${fault}`);
});
