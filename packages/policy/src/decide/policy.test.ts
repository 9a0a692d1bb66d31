import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ToolCall } from '../call/call.js';
import { cedarString } from './cedar.js';
import { matchesGlob } from './glob.js';
import { createPolicy, type PolicyOptions } from './policy.js';

const exec = (command: string): ToolCall => ({ tool: 'exec', arguments: { command } });

async function decide(options: PolicyOptions, call: ToolCall | string) {
  const policy = await createPolicy(options);
  try {
    return policy.decide(typeof call === 'string' ? exec(call) : call);
  } finally {
    policy.close();
  }
}

describe('without a policy the risk decides:', () => {
  const cases: [string, string][] = [
    ['git status', 'allow'],
    ['npm test', 'allow'],
    ['git push --force', 'ask'],
    ['rm -rf /', 'deny'],
  ];
  test.each(cases)('%s: %s', async (command, decision) => {
    expect((await decide({}, command)).decision).toBe(decision);
  });

  test('the thresholds can be moved', async () => {
    expect((await decide({ askAt: 'medium' }, 'npm test')).decision).toBe('ask');
    expect((await decide({ denyAt: 'high' }, 'git push --force')).decision).toBe('deny');
    expect((await decide({ askAt: 'critical' }, 'git push --force')).decision).toBe('allow');
  });
});

describe('lists:', () => {
  const lists: PolicyOptions = {
    deny: ['exec:rm *', 'tool:github/delete_*', 'write:infra/**'],
    ask: ['exec:git push *', 'tool:slack/*'],
    allow: ['exec:git push *', 'exec:git reset --hard *', 'exec:mytool *', 'exec:echo *'],
  };
  const cases: [string | ToolCall, string, string][] = [
    ['rm x.txt', 'deny', 'deny[0] exec:rm *'],
    ['rm', 'deny', 'deny[0] exec:rm *'],
    ['/bin/rm x.txt', 'deny', 'deny[0] exec:rm *'],
    ['echo a && sudo rm x', 'deny', 'deny[0] exec:rm *'],
    ['bash -c "echo; rm x"', 'deny', 'deny[0] exec:rm *'],
    ['git push origin main', 'ask', 'ask[0] exec:git push *'],
    ['git reset --hard HEAD', 'allow', 'allow'],
    ['mytool --all; echo done', 'allow', 'allow'],
    ['mytool --all; othertool', 'ask', 'unknown-program'],
    ['./mytool --all', 'allow', 'risk'],
    ['mytool > ~/.bashrc', 'ask', 'path-shell-startup'],
    ['LD_PRELOAD=x.so mytool', 'ask', 'variable-loads'],
    ['mytool $(othertool)', 'ask', 'unknown-program'],
    ['echo x > infra/main.tf', 'deny', 'deny[2] write:infra/**'],
    [{ tool: 'delete_repo', server: 'github' }, 'deny', 'deny[1] tool:github/delete_*'],
    [{ tool: 'get_repo', server: 'github' }, 'allow', 'risk'],
    [{ tool: 'post', server: 'slack' }, 'ask', 'ask[1] tool:slack/*'],
    [
      { tool: 'write_file', server: 'fs', arguments: { path: './infra/x/../y.tf' } },
      'deny',
      'deny[2] write:infra/**',
    ],
    [{ tool: 'read_file', server: 'fs', arguments: { path: 'infra/y.tf' } }, 'allow', 'risk'],
  ];
  test.each(cases)('%j: %s by %s', async (call, decision, rule) => {
    const answer = await decide(lists, call);
    expect([answer.decision, answer.rule]).toEqual([decision, rule]);
  });

  test('a pattern with a wildcard never allows what is critical, an exact one does', async () => {
    expect((await decide({ allow: ['exec:rm *'] }, 'rm -rf ~')).decision).toBe('deny');
    expect((await decide({ allow: ['exec:rm -rf ~'] }, 'rm -rf ~')).decision).toBe('allow');
  });

  describe('an entry of ask makes no question of what the risk denies:', () => {
    const all = ['exec:*', 'path:**', 'tool:*'];
    const cases: [PolicyOptions, string | ToolCall, string, string][] = [
      [{ ask: ['exec:git push *'] }, 'git push origin main', 'ask', 'ask[0] exec:git push *'],
      [{ ask: ['exec:git push *'] }, 'git push origin main; rm -rf ~', 'deny', 'delete-everything'],
      [{ ask: ['exec:rm -rf ~'] }, 'rm -rf ~', 'deny', 'delete-everything'],
      [{ ask: all }, 'rm -rf ~', 'deny', 'delete-everything'],
      [{ ask: all }, 'ls', 'ask', 'ask[0] exec:*'],
      [
        { ask: all },
        { tool: 'run_command', server: 'shell', arguments: { command: 'rm -rf /' } },
        'deny',
        'delete-everything',
      ],
      [
        { ask: all, gateFiles: ['/srv/gate'] },
        { tool: 'write_file', arguments: { path: '/srv/gate/x' } },
        'deny',
        'path-gate',
      ],
      [{ ask: all, denyAt: 'high' }, 'git push --force', 'deny', 'git-remote-rewrite'],
      // What an exact entry of allow lets run is asked about, for ask comes before allow.
      [{ ask: ['exec:rm *'], allow: ['exec:rm -rf ~'] }, 'rm -rf ~', 'ask', 'ask[0] exec:rm *'],
      [{ ask: ['exec:rm *'], allow: ['exec:rm *'] }, 'rm -rf ~', 'deny', 'delete-everything'],
    ];
    test.each(cases)('%j, %j: %s by %s', async (options, call, decision, rule) => {
      const answer = await decide(options, call);
      expect([answer.decision, answer.rule]).toEqual([decision, rule]);
    });

    test('a Cedar file that permits run_after_yes does', async () => {
      const text = 'permit (principal, action == Action::"run_after_yes", resource);';
      const options = { files: [{ name: 'my.cedar', text }] };
      expect((await decide(options, 'rm -rf ~')).decision).toBe('ask');
      expect((await decide({ ...options, ask: ['exec:rm *'] }, 'rm -rf ~')).decision).toBe('ask');
    });
  });

  test('a pattern of no known kind says where it stands', async () => {
    await expect(createPolicy({ ask: ['exec:ls', 'shell:ls'] })).rejects.toThrow(
      'ask[1]: "shell:ls" has no known kind; write exec:, read:, write:, path: or tool: before the pattern.',
    );
  });
});

describe('all that makes a question of a call is named:', () => {
  const cedar = [
    {
      name: 'own.cedar',
      text: `@id("no-prod") forbid (principal, action == Action::"run", resource)
when { context.command like "*prod*" };
@id("no-night") forbid (principal, action == Action::"run", resource)
when { context.command like "*night*" };
@id("may") permit (principal, action == Action::"run_after_yes", resource)
when { context.command like "*prod*" };`,
    },
  ];
  const ask = ['exec:git push *', 'exec:git *'];
  const cases: [PolicyOptions, string | ToolCall, string[]][] = [
    [{}, 'frobnicate x', ['unknown-program']],
    [{}, 'frobnicate x; git push --force', ['git-remote-rewrite', 'unknown-program']],
    [{ ask: ['exec:git push *'] }, 'git push', ['ask[0] exec:git push *']],
    [{ ask }, 'git push', ['ask[0] exec:git push *', 'ask[1] exec:git *']],
    [{ ask, askAt: 'critical' }, 'git fetch; frobnicate', ['ask[1] exec:git *']],
    [
      { ask, allow: ['exec:frobnicate *'] },
      'git fetch; frobnicate x; rm -rf ..',
      ['ask[1] exec:git *', 'delete-broad', 'unknown-program'],
    ],
    [{ files: cedar }, 'echo prod', ['no-prod']],
    [{ files: cedar }, 'frobnicate prod night', ['no-night', 'no-prod', 'unknown-program']],
    [
      { files: cedar, allow: ['exec:echo *'] },
      `echo ${'x'.repeat(5_000)}`,
      ['allow', 'policy-unseen'],
    ],
    [{ files: cedar, askAt: 'high' }, `ls ${'x'.repeat(5_000)}`, ['policy-unseen', 'risk']],
    [{ askAt: 'medium' }, 'npm test; frobnicate x', ['risk', 'unknown-program']],
    [
      { askAt: 'medium' },
      { tool: 't', annotations: { destructiveHint: true } },
      ['risk', 'tool-destructive'],
    ],
    [{}, 'git status', []],
    [{ denyAt: 'high' }, 'frobnicate', []],
  ];
  test.each(cases)('case %#', async (options, call, asks) => {
    const around = { workspace: '/work', home: '/home/ada' };
    expect((await decide({ ...around, ...options }, call)).asks).toEqual(asks);
  });

  test('also behind more findings than are kept', async () => {
    const many = Array.from({ length: 900 }, (_, at) => `frobnicate > /etc/x${at}`).join('; ');
    const { asks } = await decide({}, `${many}; git push --force`);
    expect(asks).toContain('git-remote-rewrite');
  });
});

describe('tools:', () => {
  const cases: [ToolCall, string, string][] = [
    [{ tool: 'search', server: 'web' }, 'medium', 'allow'],
    [{ tool: 'x', annotations: { readOnlyHint: true } }, 'medium', 'allow'],
    [{ tool: 'x', annotations: { destructiveHint: true } }, 'high', 'ask'],
    [{ tool: 'x', annotations: { destructiveHint: false } }, 'medium', 'allow'],
    [{ tool: 'read_file', arguments: { path: '/proc/self/root/etc/shadow' } }, 'high', 'ask'],
    [{ tool: 'read_multiple_files', arguments: { paths: ['a', '~/.ssh/id_rsa'] } }, 'high', 'ask'],
    [{ tool: 'write_file', arguments: { path: '.git/hooks/pre-commit' } }, 'high', 'ask'],
    [{ tool: 'edit_file', arguments: { file_path: 'src/a.ts' } }, 'medium', 'allow'],
    [{ tool: 'get', arguments: { uri: 'file:///root/.ssh/id_rsa' } }, 'high', 'ask'],
    [
      { tool: 'run_command', server: 'shell', arguments: { command: 'rm -rf /' } },
      'critical',
      'deny',
    ],
    [{ tool: 'Bash', arguments: { command: 'git status' } }, 'low', 'allow'],
    [{ tool: 'exec', arguments: { argv: ['rm', '-rf', '/'] } }, 'critical', 'deny'],
    [{ tool: 'exec', arguments: { argv: ['echo', '; rm -rf /'] } }, 'low', 'allow'],
    [{ tool: 'exec', arguments: {} }, 'high', 'ask'],
    [{ tool: 'Bash', arguments: { command: 'rm -rf *', cwd: '/' } }, 'critical', 'deny'],
    [{ tool: 'Bash', arguments: { command: 'cat id_x', workdir: '~/.ssh' } }, 'high', 'ask'],
    [{ tool: 'Bash', arguments: { command: 'ls', env: { LD_PRELOAD: './x.so' } } }, 'high', 'ask'],
    [{ tool: 'Bash', arguments: { command: 'ls', cwd: 'src', env: { CI: '1' } } }, 'low', 'allow'],
    [{ tool: 'exec', arguments: { command: 'sh', args: ['-c', 'rm -rf ~'] } }, 'critical', 'deny'],
  ];
  test.each(cases)('%j is %s: %s', async (call, risk, decision) => {
    const answer = await decide({}, call);
    expect([answer.risk, answer.decision]).toEqual([risk, decision]);
  });

  test('the gate’s own files are for nobody to write', async () => {
    const options = { gateFiles: ['/home/ada/.config/gatebook'], home: '/home/ada' };
    const call = { tool: 'write_file', arguments: { path: '/home/ada/.config/gatebook/x' } };
    expect(await decide(options, call)).toMatchObject({ decision: 'deny', rule: 'path-gate' });
    expect((await decide(options, 'echo x >> ~/.config/gatebook/key')).rule).toBe('path-gate');
  });
});

describe('Cedar files:', () => {
  const file = (text: string): PolicyOptions => ({ files: [{ name: 'my.cedar', text }] });
  const rules = file(`
@id("no-drop")
forbid (principal, action, resource == Tool::"db/query")
when { resource.hasTag("/sql") && resource.getTag("/sql") like "*DROP*" };

permit (principal == Actor::"ada", action == Action::"run", resource)
when { context.rule == "git-remote-rewrite" };

@id("ask-docs")
forbid (principal, action == Action::"run", resource) when { context.paths.contains("docs/a.md") };
@id("ask-docs-yes")
permit (principal, action == Action::"run_after_yes", resource) when { context.paths.contains("docs/a.md") };
`);

  test('forbid denies by the arguments of the call', async () => {
    const call = { tool: 'query', server: 'db', arguments: { sql: 'DROP TABLE x' } };
    expect(await decide(rules, call)).toMatchObject({ decision: 'deny', rule: 'no-drop' });
    const harmless = { ...call, arguments: { sql: 'SELECT 1' } };
    expect(await decide(rules, harmless)).toMatchObject({ decision: 'allow', rule: 'risk' });
  });

  test('permit on run allows, for the actor it names', async () => {
    const call = { ...exec('git push --force'), actor: 'ada' };
    expect(await decide(rules, call)).toMatchObject({ decision: 'allow', rule: 'my.cedar:6:1' });
    expect((await decide(rules, { ...call, actor: 'eve' })).decision).toBe('ask');
  });

  test('permit on run_after_yes asks', async () => {
    const call = { tool: 'edit_file', arguments: { path: '/home/ada/app/x/../docs/a.md' } };
    const inApp = { ...rules, workspace: '/home/ada/app' };
    expect(await decide(inApp, call)).toMatchObject({ decision: 'ask', rule: 'ask-docs' });
  });

  test('an error while a policy is evaluated denies', async () => {
    const text =
      'permit (principal, action, resource) when { context.level + 9223372036854775807 > 0 };';
    expect((await decide(file(text), 'npm test')).decision).toBe('deny');
    expect((await decide(file(text), 'npm test')).rule).toBe('policy-error');
    expect((await decide(file(text), 'git status')).decision).toBe('allow');
  });

  const wrong: [string, string][] = [
    ['permit (principal, action, resource)\nwhne { true };', 'my.cedar:2:1: '],
    [
      '// ä\npermit (principal, action, resource) when { context.riks == "low" };',
      'my.cedar:2:45: ',
    ],
    [
      'permit (principal, action, resource == Tool::"x") when { resource.getTag("/a") == "b" };',
      'my.cedar:1:58: ',
    ],
    [
      'permit (principal == ?principal, action, resource);',
      'my.cedar: static policy set includes a template',
    ],
  ];
  test.each(wrong)('%j is refused at its place', async (text, message) => {
    await expect(createPolicy(file(text))).rejects.toThrow(message);
  });

  test('arguments that Cedar would refuse or take for entities are plain text', async () => {
    const text = 'forbid (principal, action, resource) when { resource.hasTag("/a/__entity/id") };';
    const odd = {
      a: { __entity: { type: 'Actor', id: 'x' } },
      b: null,
      c: 1.5,
      __extn: { fn: 'ip', arg: '1' },
    };
    expect((await decide(file(text), { tool: 't', arguments: odd })).decision).toBe('deny');
    const { a: _, ...others } = odd;
    expect((await decide(file(text), { tool: 't', arguments: others })).decision).toBe('allow');
  });

  test('arguments beyond the bounds are denied where there is a policy, and asked about where there is none', async () => {
    const call = { tool: 't', arguments: Array.from({ length: 300 }, (_, i) => i) };
    expect((await decide(rules, call)).decision).toBe('deny');
    expect((await decide({}, call)).decision).toBe('ask');
    let deep: unknown = 1;
    for (let i = 0; i < 40; i++) deep = [deep];
    expect((await decide({}, { tool: 't', arguments: deep })).decision).toBe('ask');
    expect((await decide({}, { tool: 't', arguments: { x: 'y'.repeat(600_000) } })).decision).toBe(
      'ask',
    );
  });

  test('a permit for more commands than the policy sees is a question', async () => {
    const options = file('permit (principal, action == Action::"run", resource);');
    expect((await decide(options, 'true;'.repeat(10))).decision).toBe('allow');
    expect((await decide(options, 'true;'.repeat(100))).decision).toBe('ask');
  });
});

test('no pattern can put anything into a policy', async () => {
  const nasty = fc.string({
    unit: fc.constantFrom(
      '"',
      '\\',
      '\n',
      '*',
      '}',
      ')',
      ';',
      'permit(principal,action,resource);',
      '\u2028',
      '\uD800',
      'é',
      '{',
      'u',
      '//',
      '*/',
      ' ',
    ),
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(nasty, async (text) => {
      const pattern = `exec:x${text}`;
      const policy = await createPolicy({ deny: [pattern] });
      try {
        expect(policy.policies).toHaveLength(1);
        expect(policy.decide(exec('git push --force')).decision).toBe('ask');
        expect(policy.decide(exec('git status')).decision).toBe('allow');
      } finally {
        policy.close();
      }
      expect(cedarString(pattern)).toMatch(/^"[\x20-\x7e]*"$/);
    }),
    { numRuns: 60 },
  );
});

test('a call never makes the policy throw', async () => {
  const policy = await createPolicy({
    deny: ['exec:rm *'],
    files: [{ name: 'a', text: 'permit (principal, action, resource) when { context.covered };' }],
  });
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.jsonValue(),
      fc.string({ unit: 'binary' }),
      (tool, server, value, command) => {
        expect(['allow', 'ask', 'deny']).toContain(
          policy.decide({ tool, server, arguments: value }).decision,
        );
        expect(['allow', 'ask', 'deny']).toContain(policy.decide(exec(command)).decision);
      },
    ),
    { numRuns: 200 },
  );
  policy.close();
  expect(policy.decide(exec('ls')).decision).toBe('deny');
});

test('a glob matches what the same regular expression does', () => {
  const glob = fc.string({ unit: fc.constantFrom('a', 'b', '*', '**', '?', '/'), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 10 });
  fc.assert(
    fc.property(glob, text, (pattern, value) => {
      const path = pattern.replace(/\*\*+|\*|\?/g, (it) =>
        it === '?' ? '[^/]' : it === '*' ? '[^/]*' : '[^]*',
      );
      expect(matchesGlob(pattern, value, true)).toBe(new RegExp(`^${path}$`).test(value));
      const plain = pattern.replace(/\*+|\?/g, (it) => (it === '?' ? '[^]' : '[^]*'));
      expect(matchesGlob(pattern, value)).toBe(new RegExp(`^${plain}$`).test(value));
    }),
    { numRuns: 2000 },
  );
});
