import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { linesOf, type Ran, run } from '../cli/gatebook.js';

const folder = mkdtempSync(join(tmpdir(), 'gatebook-policy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function policy(...args: string[]): Promise<Ran> {
  const places = ['--log', join(folder, 'log'), '--keys', join(folder, 'keys')];
  return await run(['policy', args[0]!, ...places, ...args.slice(1)], { cwd: folder });
}

interface Explained {
  readonly decision: string;
  readonly risk: string;
  readonly rule: string;
  readonly commands: { readonly text: string; readonly through: string[]; readonly risk: string }[];
}

async function explain(...args: string[]): Promise<Explained> {
  const ran = await policy('explain', '--json', ...args);
  expect(ran.code, ran.stderr).toBe(0);
  return JSON.parse(ran.stdout) as Explained;
}

describe('gatebook policy explain', () => {
  test('shows the commands, their risks, the rule and the decision', async () => {
    const ran = await policy('explain', '--', 'git status && sudo sh -c "rm -rf ~"');
    expect(ran.code).toBe(0);
    expect(ran.stdout.split('\n').slice(0, 9)).toEqual([
      'decision  deny',
      'risk      critical',
      'rule      delete-everything',
      '',
      'commands',
      '  low      git status',
      "  medium   sudo sh -c 'rm -rf ~'",
      "  high     sh -c 'rm -rf ~' (through sudo)",
      '  critical rm -rf ~ (through sudo, sh)',
    ]);
    expect(ran.stdout).toContain('critical delete-everything: deletes the home folder');
  });

  test('takes one word for a command line, and several for a program with its words', async () => {
    expect(await explain('--', 'rm', '-rf', 'build')).toMatchObject({ decision: 'allow' });
    const [line, words] = [
      await explain('--', 'echo a; rm -rf /'),
      await explain('--', 'echo', 'a; rm -rf /'),
    ];
    expect(line.decision).toBe('deny');
    expect(words).toMatchObject({ decision: 'allow', risk: 'low' });
    expect(words.commands).toHaveLength(1);
  });

  test('decides by lists, files and thresholds', async () => {
    const cedar = file(
      'own.cedar',
      '@id("mine") forbid (principal, action, resource) when { context.programs.contains("make") };',
    );
    const flags = [
      '--deny',
      'exec:docker *',
      '--ask',
      'exec:git push *',
      '--allow',
      'exec:deploy-tool *',
      '--policy',
      cedar,
    ];
    const decided = async (command: string): Promise<string> => {
      const { decision, rule } = await explain(...flags, '--', command);
      return `${decision} ${rule}`;
    };
    expect(await decided('docker ps')).toBe('deny deny[0] exec:docker *');
    expect(await decided('git push')).toBe('ask ask[0] exec:git push *');
    expect(await decided('deploy-tool now')).toBe('allow allow');
    expect(await decided('make -j4')).toBe('deny mine');
    expect((await explain('--ask-at', 'medium', '--', 'npm test')).decision).toBe('ask');
    expect((await explain('--deny-at', 'high', '--', 'git push -f')).decision).toBe('deny');
  });

  test('knows the folder it runs in, and the files of the gate', async () => {
    expect((await explain('--', `cp a ${folder}/b`)).decision).toBe('allow');
    expect((await explain('--', 'cp a /home/somebody/b')).rule).toBe('path-outside');
    expect((await explain('--', `cp a ${folder}/keys/b`)).rule).toBe('path-gate');
    const args = JSON.stringify({ path: 'log/x' });
    expect(await explain('--tool', 'fs/write_file', '--arguments', args)).toMatchObject({
      decision: 'deny',
      rule: 'path-gate',
    });
  });

  test('says where a pattern or a Cedar file is wrong', async () => {
    const bad = await policy('explain', '--deny', 'rm *', '--', 'ls');
    expect([bad.code, bad.stdout]).toEqual([2, '']);
    expect(bad.stderr).toMatch(/^gatebook: deny\[0\]: "rm \*" has no known kind/);
    const cedar = file(
      'bad.cedar',
      'permit (principal, action, resource)\nwhen { context.riks == "low" };\n',
    );
    const refused = await policy('explain', '--policy', cedar, '--', 'ls');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      /^gatebook: bad\.cedar:2:\d+: attribute `riks` .*did you mean `risk`/,
    );
    expect((await policy('explain', '--policy', join(folder, 'none.cedar'), '--', 'ls')).code).toBe(
      2,
    );
    expect((await policy('explain')).code).toBe(2);
    expect((await policy('explain', '--tool', 'x', '--arguments', '{', '--')).code).toBe(2);
  });

  test('prints no control characters of a command', async () => {
    const ran = await policy('explain', '--', 'echo \u001b[2J');
    expect(ran.stdout).not.toContain('\u001b');
    expect(ran.stdout).toContain('shell-control-character');
  });
});

describe('gatebook policy test', () => {
  const toml = `
[[case]]
command = "git push --force"
decision = "ask"
rule = "git-remote-rewrite"

[[case]]
name = "tools of the database"
server = "db"
tool = "query"
arguments = { sql = "DROP TABLE x", limit = 1.5 }
decision = "deny"

[[case]]
command = "ls"
risk = "low"
`;
  const cedar =
    'forbid (principal, action, resource == Tool::"db/query") when { resource.hasTag("/sql") && resource.getTag("/sql") like "*DROP*" };';

  test('exits with 0 when every case is decided as it says', async () => {
    const flags = ['--policy', file('db.cedar', cedar)];
    const ran = await policy('test', file('cases.toml', toml), ...flags);
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([0, '', '3 cases, 0 failed\n']);
  });

  test('exits with 1 and names the cases that are decided otherwise', async () => {
    const ran = await policy('test', file('cases.toml', toml));
    expect(ran.code).toBe(1);
    expect(ran.stdout).toBe('failed  tools of the database: decision is allow, not deny\n');
    expect(ran.stderr).toBe('3 cases, 1 failed\n');
  });

  test('takes JSON lines, and prints them', async () => {
    const lines = [
      { command: 'rm -rf /', decision: 'deny', risk: 'critical' },
      { tool: 'fs/read_file', arguments: { path: '~/.ssh/id_rsa' }, decision: 'allow' },
    ];
    const path = file('cases.jsonl', lines.map((line) => JSON.stringify(line)).join('\n'));
    const ran = await policy('test', path, '--json');
    expect(ran.code).toBe(1);
    expect(linesOf(ran.stdout).map((line) => JSON.parse(line) as object)).toMatchObject([
      { name: 'rm -rf /', ok: true, decision: 'deny' },
      { name: 'fs/read_file', ok: false, decision: 'ask', rule: 'path-ssh' },
    ]);
  });

  const wrong: [string, string, RegExp][] = [
    ['a.toml', '[[case]]\ncommand = "ls"\n', /a\.toml: case 1: says nothing to hold the policy to/],
    ['b.toml', '[[case]]\ncommand = "ls"\ndecison = "ask"\n', /b\.toml: case 1: .*decison/],
    ['c.toml', '[[case]\n', /c\.toml:\d+:\d+: /],
    ['d.jsonl', '{"command":"ls","risk":"low"}\n{', /d\.jsonl:2: /],
    ['e.jsonl', '\n', /e\.jsonl: holds no case/],
    ['f.jsonl', '{"command":"ls","tool":"x","risk":"low"}', /needs either a command or a tool/],
  ];
  test.each(wrong)('%s is refused, and its place named', async (name, text, message) => {
    const ran = await policy('test', file(name, text));
    expect([ran.code, ran.stdout]).toEqual([2, '']);
    expect(ran.stderr).toMatch(message);
  });
});
