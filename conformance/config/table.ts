import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { linesOf } from '../cli/gatebook.js';
import type { Desk, Stored } from './desk.js';
import { gateRows } from './gate-rows.js';
import { redisRows } from './redis-rows.js';

/** One row for each key: what it is by default, how it is set, what it refuses, and what it does. */
export interface Row {
  readonly name: string;
  /** Null where nothing is set. */
  readonly usual: unknown;
  /** A value as a file has it, and as `config show` gives it then; relative paths are of the file's folder. */
  readonly file: readonly [toml: string, shown: unknown];
  /** Another value as the environment has it. */
  readonly env: readonly [text: string, shown: unknown];
  /** What a file must not have. */
  readonly bad: string;
  /** Shows that the key does something. Gets the desk, nothing configured. */
  readonly effect: (desk: Desk) => Promise<void>;
}

/** What these commands do to the log, a policy would ask about. */
const unrated = { GATEBOOK_SECURITY_POLICY_ENABLED: 'false' };

const noop = [process.execPath, '-e', ''];

function execWords(command: readonly string[] = noop): string[] {
  return ['exec', '--', ...command];
}

function audit(text: string): string {
  return `[security.audit]\n${text}\n`;
}

/** What the log says of itself when a command opens it under this configuration. */
async function openedWith(desk: Desk, text: string): Promise<Record<string, unknown>> {
  await desk.writeUser(audit(text));
  const ran = await desk.run(execWords());
  expect(ran.code, ran.stderr).toBe(0);
  const configured = text.includes('_path');
  return configured ? {} : await openedDetails(desk);
}

async function openedDetails(desk: Desk): Promise<Record<string, unknown>> {
  const folder = join(desk.folder, 'state', 'gatebook', 'log', 'segments');
  const [name = ''] = readdirSync(folder)
    .filter((each) => each.endsWith('.jsonl'))
    .sort();
  const [line = ''] = (await readFile(join(folder, name), 'utf8')).split('\n');
  return { ...(JSON.parse(line) as Stored).details };
}

/** Somebody on the other side who counts what comes and answers nothing of use. */
async function counting(desk: Desk, text: (url: string) => string): Promise<number> {
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await desk.writeUser(audit(text(`http://127.0.0.1:${port}/`)));
    const wait = [process.execPath, '-e', 'setTimeout(() => {}, 1000)'];
    expect((await desk.run(execWords(wait))).code).toBe(0);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  return asked;
}

const witnessKey = 'witness.example/w1+72fbd525+BGKte8mnk6rAtxnFoC/+qtrITRfhs3kw7I/5mhrt3xYp';
const thousand = `${JSON.stringify({ event_type: 'security_event', details: { x: 'y'.repeat(900) } })}\n`;

/** Segments after 20 records of about a kilobyte each, and after what is awaited, for 20 s at most. */
async function fill(desk: Desk, text: string, awaited = '*'): Promise<string[]> {
  await desk.writeUser(audit(text));
  const file = join(desk.folder, 'input');
  await writeFile(file, thousand.repeat(20));
  const segments = join(desk.folder, 'state', 'gatebook', 'log', 'segments');
  const wait = `for i in $(seq 200); do ls ${segments}/${awaited} >/dev/null 2>&1 && break; sleep 0.1; done`;
  const shell = ['sh', '-c', `"$0" "$1" record < ${file}; ${wait}`, process.execPath];
  const { gatebookBin } = await import('../cli/gatebook.js');
  const ran = await desk.run(execWords([...shell, gatebookBin]), unrated);
  expect(ran.code, ran.stderr).toBe(0);
  return readdirSync(segments);
}

const authTypes = ['auth_success', 'auth_failure', 'auth_login', 'auth_logout', 'auth_refresh'];
const otherTypes = ['security_event', 'acme.deploy'];

/** A switch of what is recorded: what it names is skipped, and all else is not. */
function switchRow(
  key: string,
  types: readonly string[],
  more: (desk: Desk) => Promise<void> = async () => {},
): Row {
  return {
    name: `security.audit.${key}`,
    usual: true,
    file: ['false', false],
    env: ['true', true],
    bad: '"off"',
    effect: async (desk) => {
      await desk.writeUser(audit(`${key} = false`));
      const all = [...rowTypes(), ...otherTypes];
      const input = all.map((type) => `${JSON.stringify({ event_type: type })}\n`).join('');
      const ran = await desk.run(['record'], {}, input);
      const skipped = linesOf(ran.stdout).map(
        (line) => (JSON.parse(line) as { skipped?: string }).skipped,
      );
      const wanted = all.map((type) =>
        types.includes(type) ? `security.audit.${key}` : undefined,
      );
      expect(skipped).toEqual(wanted);
      const stored = (await desk.records()).map((record) => record.event_type);
      expect(stored.filter((type) => !type.startsWith('log.'))).toEqual(
        all.filter((type) => !types.includes(type)),
      );
      await more(desk);
    },
  };
}

function rowTypes(): string[] {
  return [
    ...['command_execution', 'tool_execution', 'mcp.prompt_get', 'mcp.task_result', 'file_access'],
    ...authTypes,
    ...['config_change', 'policy_violation', 'rate_limit_hit', 'ssrf_block', 'injection_block'],
  ];
}

function limit(given: object): object {
  return { scope: [], shadow: false, ...given };
}

/** How many requests, a millisecond apart, each limit of a configuration refuses. */
async function refusals(
  desk: Desk,
  text: string,
  count: number,
  request: object,
  users = 1,
): Promise<Record<string, number>> {
  await desk.writeUser(`[security.rate_limiting]\n${text}\n`);
  const lines = Array.from({ length: count }, (_, at) =>
    JSON.stringify({ at_ms: at, actor: { user_id: `u${at % users}` }, ...request }),
  );
  const ran = await desk.run(['limits', 'simulate', '--json', '-'], {}, `${lines.join('\n')}\n`);
  expect(ran.code, ran.stderr).toBe(0);
  const refused: Record<string, number> = {};
  for (const line of linesOf(ran.stdout)) {
    const { allowed, limit } = JSON.parse(line) as { allowed: boolean; limit: string };
    if (!allowed) refused[limit] = (refused[limit] ?? 0) + 1;
  }
  return refused;
}

export const rows: readonly Row[] = [
  {
    name: 'security.audit.enabled',
    usual: true,
    file: ['false', false],
    env: ['true', true],
    bad: '0',
    effect: async (desk) => {
      await desk.writeUser(audit('enabled = false'));
      const ran = await desk.run(execWords(['echo', 'ran']));
      expect(ran).toMatchObject({ code: 0, stdout: 'ran\n' });
      expect(ran.stderr).toContain('the audit log is off');
      expect(existsSync(join(desk.folder, 'state'))).toBe(false);
      expect((await desk.run(['record'])).code).toBe(1);
    },
  },
  {
    name: 'security.audit.log_path',
    usual: null,
    file: ['"mine"', './mine'],
    env: ['theirs', './theirs'],
    bad: '1',
    effect: async (desk) => {
      await openedWith(desk, 'log_path = "../book"');
      expect(existsSync(join(desk.folder, 'config', 'book', 'segments'))).toBe(true);
      expect(existsSync(join(desk.folder, 'state'))).toBe(false);
    },
  },
  {
    name: 'security.audit.keys_path',
    usual: null,
    file: ['"~/keys"', '~/keys'],
    env: ['/k', '/k'],
    bad: '""',
    effect: async (desk) => {
      await openedWith(desk, 'keys_path = "~/keys"');
      expect(existsSync(join(desk.folder, 'keys', 'origin'))).toBe(true);
      expect(existsSync(join(desk.folder, 'config', 'gatebook', 'keys'))).toBe(false);
    },
  },
  {
    name: 'security.audit.signing_key_path',
    usual: null,
    file: ['"a.pem"', './a.pem'],
    env: ['/b.pem', '/b.pem'],
    bad: 'false',
    effect: async (desk) => {
      const { privateKey } = generateKeyPairSync('ed25519');
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
      const file = join(desk.folder, 'own.pem');
      await writeFile(file, pem, { mode: 0o600 });
      await openedWith(desk, `signing_key_path = "${file}"`);
      expect((await desk.run(['keys', 'show'])).stdout).toContain(`from      the file ${file}`);
      expect((await desk.run(execWords())).code).toBe(0);
      await desk.writeUser(audit('signing_key_path = "/another.pem"'));
      const ran = await desk.run(execWords());
      expect(ran.code).toBe(2);
      expect(ran.stderr).toContain(
        `${desk.userFile}:2:1: security.audit.signing_key_path is /another`,
      );
    },
  },
  {
    name: 'security.audit.sign_events',
    usual: false,
    file: ['true', true],
    env: ['false', false],
    bad: '1',
    effect: async (desk) => {
      await desk.writeUser(audit('sign_events = true'));
      const checkpoint = join(desk.folder, 'state', 'gatebook', 'log', 'checkpoint');
      // A command that begins when its intent is on disk, a few milliseconds before the checkpoint of a second.
      const words = execWords(['sh', '-c', `sleep 0.1; sed -n 2p ${checkpoint}`]);
      const ran = await desk.run(words, unrated);
      expect(ran.stdout).toBe('2\n');
    },
  },
  {
    name: 'security.audit.on_log_failure',
    usual: 'refuse',
    file: ['"allow"', 'allow'],
    env: ['refuse', 'refuse'],
    bad: '"pass"',
    effect: async (desk) => {
      const nowhere = 'log_path = "/dev/null/nowhere"';
      await desk.writeUser(audit(nowhere));
      expect((await desk.run(execWords(['echo', 'ran']))).stdout).toBe('');
      await desk.writeUser(audit(`${nowhere}\non_log_failure = "allow"`));
      expect((await desk.run(execWords(['echo', 'ran']))).stdout).toBe('ran\n');
      expect((await desk.run(['exec', '--on-log-failure', 'refuse', '--', 'echo'])).stdout).toBe(
        '',
      );
    },
  },
  switchRow('log_commands', ['command_execution'], async (desk) => {
    const before = (await desk.records()).length;
    expect((await desk.run(execWords())).code).toBe(0);
    const types = (await desk.records()).slice(before).map((record) => record.event_type);
    expect(types).toEqual(['log.opened', 'log.closed']);
  }),
  switchRow('log_tool_executions', ['tool_execution', 'mcp.prompt_get', 'mcp.task_result']),
  switchRow('log_file_access', ['file_access']),
  switchRow('log_auth_events', authTypes),
  switchRow('log_config_changes', ['config_change']),
  switchRow('log_policy_violations', [
    'policy_violation',
    'rate_limit_hit',
    'ssrf_block',
    'injection_block',
  ]),
  {
    name: 'security.audit.max_size_mb',
    usual: 100,
    file: ['0.5', 0.5],
    env: ['3', 3],
    bad: '0',
    effect: async (desk) => {
      const segments = await fill(desk, 'max_size_mb = 0.01');
      expect(segments.filter((name) => name.endsWith('.jsonl')).length).toBeGreaterThan(2);
    },
  },
  {
    name: 'security.audit.rotate',
    usual: 'size',
    file: ['"daily"', 'daily'],
    env: ['weekly', 'weekly'],
    bad: '"monthly"',
    effect: async (desk) => {
      expect(await openedWith(desk, 'rotate = "hourly"')).toMatchObject({ rotate: 'hourly' });
    },
  },
  {
    name: 'security.audit.archive',
    usual: false,
    file: ['true', true],
    env: ['false', false],
    bad: '"true"',
    effect: async (desk) => {
      const segments = await fill(desk, 'max_size_mb = 0.01\narchive = true', '*.gz');
      expect(segments.some((name) => name.endsWith('.gz'))).toBe(true);
    },
  },
  {
    name: 'security.audit.content',
    usual: null,
    file: ['"keep"', 'keep'],
    env: ['personal', 'personal'],
    bad: '"none"',
    effect: async (desk) => {
      expect(await openedWith(desk, 'content = "personal"')).toMatchObject({ content: 'personal' });
    },
  },
  {
    name: 'security.audit.retention_days',
    usual: null,
    file: ['30', 30],
    env: ['0.5', 0.5],
    bad: '0',
    effect: async (desk) => {
      const { retention } = await openedWith(desk, 'retention_days = 30');
      expect(retention).toEqual({ delete: 'oldest', retention_days: 30 });
    },
  },
  {
    name: 'security.audit.max_total_mb',
    usual: null,
    file: ['7', 7],
    env: ['8.5', 8.5],
    bad: '-1',
    effect: async (desk) => {
      const { retention } = await openedWith(desk, 'max_total_mb = 2');
      expect(retention).toEqual({ delete: 'oldest', max_total_bytes: 2 * 1024 * 1024 });
    },
  },
  {
    name: 'security.audit.max_records',
    usual: null,
    file: ['1000', 1000],
    env: ['2000', 2000],
    bad: '1.5',
    effect: async (desk) => {
      const { retention } = await openedWith(desk, 'max_records = 1000');
      expect(retention).toEqual({ delete: 'oldest', max_records: 1000 });
    },
  },
  {
    name: 'security.audit.keep_types',
    usual: {},
    file: ['{ auth_failure = 400 }', { auth_failure: 400 }],
    env: ['{ "acme.deploy" = 1 }', { 'acme.deploy': 1 }],
    bad: '{ auth_failures = 400 }',
    effect: async (desk) => {
      const text = 'retention_days = 30\nkeep_types = { auth_failure = 400 }';
      const { retention } = await openedWith(desk, text);
      expect(retention).toMatchObject({ type_days: { auth_failure: 400 } });
    },
  },
  {
    name: 'security.audit.holds',
    usual: [],
    file: ['[{ actor = "ann", decision = false }]', [{ actor: 'ann', decision: false }]],
    env: ['[{ tool = "x" }]', [{ tool: 'x' }]],
    bad: '[{}]',
    effect: async (desk) => {
      const { retention } = await openedWith(desk, 'max_records = 9\nholds = [{ actor = "ann" }]');
      expect(retention).toMatchObject({ hold: [{ actor: 'ann' }] });
    },
  },
  {
    name: 'security.audit.witnesses',
    usual: [],
    file: [`["http://127.0.0.1:1/=${witnessKey}"]`, [`http://127.0.0.1:1/=${witnessKey}`]],
    env: ['[]', []],
    bad: '["http://127.0.0.1:1/"]',
    effect: async (desk) => {
      const asked = await counting(desk, (url) => `witnesses = ["${url}=${witnessKey}"]`);
      expect(asked).toBeGreaterThan(0);
    },
  },
  {
    name: 'security.audit.witness_policy',
    usual: null,
    file: ['"policy"', './policy'],
    env: ['/etc/policy', '/etc/policy'],
    bad: '[]',
    effect: async (desk) => {
      const asked = await counting(desk, (url) => {
        const line = `witness w1 ${witnessKey} ${url}`;
        const text = `${line}\nquorum w1\n`;
        void writeFile(join(desk.folder, 'config', 'gatebook', 'policy'), text);
        return 'witness_policy = "policy"';
      });
      expect(asked).toBeGreaterThan(0);
    },
  },
  {
    name: 'security.audit.witness_interval',
    usual: '60s',
    file: ['"2m"', '2m'],
    env: ['1h', '1h'],
    bad: '"1 hour"',
    effect: async (desk) => {
      const often = await counting(
        desk,
        (url) => `witnesses = ["${url}=${witnessKey}"]\nwitness_interval = "100ms"`,
      );
      expect(often).toBeGreaterThan(3);
    },
  },
  {
    name: 'security.audit.anchor_files',
    usual: [],
    file: ['["a", "/b"]', ['./a', '/b']],
    env: ['["/c"]', ['/c']],
    bad: '"a"',
    effect: async (desk) => {
      await openedWith(desk, 'anchor_files = ["anchored"]');
      const file = join(desk.folder, 'config', 'gatebook', 'anchored');
      expect(await readFile(file, 'utf8')).toContain('/gatebook/');
    },
  },
  {
    name: 'security.audit.anchor_commands',
    usual: [],
    file: ['["cat"]', ['cat']],
    env: ['["a b"]', ['a b']],
    bad: '[1]',
    effect: async (desk) => {
      const file = join(desk.folder, 'anchored');
      await openedWith(desk, `anchor_commands = ["cat > ${file}"]`);
      expect(await readFile(file, 'utf8')).toContain('/gatebook/');
    },
  },
  {
    name: 'security.audit.anchor_tsas',
    usual: [],
    file: ['["http://127.0.0.1:1/"]', ['http://127.0.0.1:1/']],
    env: ['[]', []],
    bad: '["ftp://127.0.0.1"]',
    effect: async (desk) => {
      expect(await counting(desk, (url) => `anchor_tsas = ["${url}"]`)).toBeGreaterThan(0);
    },
  },
  {
    name: 'security.audit.anchor_interval',
    usual: '10m',
    file: ['"1d"', '1d'],
    env: ['500ms', '500ms'],
    bad: '600',
    effect: async (desk) => {
      const asked = await counting(
        desk,
        (url) => `anchor_tsas = ["${url}"]\nanchor_interval = "100ms"`,
      );
      expect(asked).toBeGreaterThan(3);
    },
  },
  {
    name: 'security.rate_limiting.enabled',
    usual: false,
    file: ['true', true],
    env: ['false', false],
    bad: '"yes"',
    effect: async (desk) => {
      expect(await refusals(desk, 'enabled = true', 61, {})).toEqual({ requests_per_minute: 1 });
      await desk.writeUser('[security.rate_limiting]\nwait = "1s"\n');
      const ran = await desk.run(['config', 'check']);
      expect(ran.stderr).toContain(
        `${desk.userFile}:2:1: security.rate_limiting.wait has no effect`,
      );
    },
  },
  {
    name: 'security.rate_limiting.requests_per_minute',
    usual: 60,
    file: ['1', 1],
    env: ['0', 0],
    bad: '-1',
    effect: async (desk) => {
      const text = 'enabled = true\nrequests_per_minute = 2';
      expect(await refusals(desk, text, 5, {})).toEqual({ requests_per_minute: 3 });
    },
  },
  {
    name: 'security.rate_limiting.tool_executions_per_minute',
    usual: 30,
    file: ['1', 1],
    env: ['2', 2],
    bad: '1.5',
    effect: async (desk) => {
      const text = 'enabled = true\ntool_executions_per_minute = 4';
      expect(await refusals(desk, text, 5, { tool: 'x' })).toEqual({
        tool_executions_per_minute: 1,
      });
      expect(await refusals(desk, text, 5, {})).toEqual({});
    },
  },
  {
    name: 'security.rate_limiting.per_user_limit',
    usual: true,
    file: ['false', false],
    env: ['true', true],
    bad: '1',
    effect: async (desk) => {
      const text = 'enabled = true\nrequests_per_minute = 1';
      expect(await refusals(desk, text, 3, {}, 3)).toEqual({});
      const all = `${text}\nper_user_limit = false`;
      expect(await refusals(desk, all, 3, {}, 3)).toEqual({ requests_per_minute: 2 });
    },
  },
  {
    name: 'security.rate_limiting.wait',
    usual: null,
    file: ['"10s"', '10s'],
    env: ['2m', '2m'],
    bad: '10',
    effect: async (desk) => {
      const text = 'enabled = true\nrequests_per_minute = 1\nwait = "59s"';
      expect(await refusals(desk, text, 2, {})).toEqual({ requests_per_minute: 1 });
      expect(await refusals(desk, text.replace('59s', '2m'), 2, {})).toEqual({});
    },
  },
  {
    name: 'security.rate_limiting.limits',
    usual: {},
    file: ['{ w = { rate = "1/s", tool = "w*" } }', { w: limit({ rate: '1/s', tool: 'w*' }) }],
    env: ['{ x = { rate = "2/s" } }', { x: limit({ rate: '2/s' }) }],
    bad: '{ w = { rate = "1/y" } }',
    effect: async (desk) => {
      const writes = '{ rate = "1/hour", burst = 2, tool = "w*", scope = ["tool"] }';
      const text = `enabled = true\nlimits = { writes = ${writes} }`;
      expect(await refusals(desk, text, 5, { tool: 'wx' })).toEqual({ writes: 3 });
      expect(await refusals(desk, text, 5, { tool: 'rx' })).toEqual({});
      const counted = text.replace('burst', 'shadow = true, burst');
      expect(await refusals(desk, counted, 5, { tool: 'wx' })).toEqual({});
      const kinds = 'enabled = true\nlimits = { f = { in_flight = 2 }, q = { quota = "4/month" } }';
      expect(await refusals(desk, kinds, 9, { lasts_ms: 3 })).toEqual({ f: 2, q: 3 });
    },
  },
  ...redisRows,
  ...gateRows,
];

/** The lines of a file that sets every key by its row. */
export function fileOf(value: (row: Row) => string): string {
  const sections = new Map<string, string[]>();
  for (const row of rows) {
    const at = row.name.lastIndexOf('.');
    const section = row.name.slice(0, at);
    sections.set(section, [
      ...(sections.get(section) ?? []),
      `${row.name.slice(at + 1)} = ${value(row)}`,
    ]);
  }
  return [...sections].map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`).join('');
}

export type { Stored };
