import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import type { Answer } from './answer.js';
import { auditAppend } from './audit-append.js';
import { auditBytes } from './audit-bytes.js';
import { auditMemory } from './audit-memory.js';
import { auditOpen } from './audit-open.js';
import { auditProcesses } from './audit-processes.js';
import { auditProfile } from './audit-profile.js';
import { auditProve } from './audit-prove.js';
import { auditVerify } from './audit-verify.js';
import type { Question } from './bench.js';
import { gateCall } from './gate-call.js';
import { gateMcp } from './gate-mcp.js';
import { gatePolicy } from './gate-policy.js';
import { describeMachine } from './machine.js';
import { markdownPage } from './page.js';
import { fullPlan, type Plan, quickPlan } from './plan.js';
import { Random } from './random.js';
import { ratelimitMemory } from './ratelimit-memory.js';
import { ratelimitRedis } from './ratelimit-redis.js';
import { ratelimitTake } from './ratelimit-take.js';
import { ratelimitWait } from './ratelimit-wait.js';
import { Workspace } from './workspace.js';

/** In the order in which they are asked. */
const questions: ReadonlyMap<string, Question> = new Map([
  ['audit-append', auditAppend],
  ['audit-profile', auditProfile],
  ['audit-processes', auditProcesses],
  ['audit-bytes', auditBytes],
  ['audit-verify', auditVerify],
  ['audit-memory', auditMemory],
  ['audit-prove', auditProve],
  ['audit-open', auditOpen],
  ['gate-policy', gatePolicy],
  ['gate-call', gateCall],
  ['gate-mcp', gateMcp],
  ['ratelimit-take', ratelimitTake],
  ['ratelimit-memory', ratelimitMemory],
  ['ratelimit-wait', ratelimitWait],
  ['ratelimit-redis', ratelimitRedis],
]);

const usage = `usage: npm run bench -- SUITE|QUESTION [--quick] [--rounds N] [--seed N] [--dir DIR] [--write]

  SUITE      audit, gate or ratelimit: all questions that begin with that
  QUESTION   ${[...questions.keys()].join(', ')}
  --quick    small counts, to see that everything runs
  --rounds   rounds that count, default 5, of ratelimit 9
  --dir      a folder on the disk to be measured, default the system's temporary folder
  --write    writes docs/benchmarks.md, of the others docs/benchmarks-SUITE.md; for a whole suite, not with --quick

Each answer is printed as one line of JSON, and all of them as Markdown at the end.`;

const docs = path.join(import.meta.dirname, '../../docs');
const pages: ReadonlyMap<string, string> = new Map([
  ['audit', 'benchmarks.md'],
  ['gate', 'benchmarks-gate.md'],
  ['ratelimit', 'benchmarks-ratelimit.md'],
]);

interface Wish {
  readonly subject: string;
  readonly chosen: readonly [string, Question][];
  readonly plan: Plan;
  readonly dir: string;
  readonly write: boolean;
}

/** Reads the arguments. Throws an error whose message says what is wrong with them. */
function readWish(): Wish {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      dir: { type: 'string', default: os.tmpdir() },
    },
  });
  const { quick, write, dir } = values;
  const subject = positionals[0] ?? '';
  const chosen = [...questions].filter(
    ([name]) => name === subject || name.startsWith(`${subject}-`),
  );
  if (positionals.length !== 1 || chosen.length === 0)
    throw new Error('name a suite or a question');
  if (write && (quick || !pages.has(subject))) {
    throw new Error('--write is for a whole suite and not for a quick run');
  }
  const rounds = wholeNumber(
    'rounds',
    values.rounds ?? (subject.startsWith('ratelimit') ? '9' : '5'),
    1,
    1_000,
  );
  const seed = wholeNumber('seed', values.seed, 0, 2 ** 32 - 1);
  return { subject, chosen, plan: quick ? quickPlan(seed) : fullPlan(seed, rounds), dir, write };
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < min || value > max) {
    throw new Error(`--${name} must be a whole number from ${min} to ${max}, not ${text}`);
  }
  return value;
}

async function askAll({ subject, chosen, plan, dir, write }: Wish): Promise<void> {
  const workspace = new Workspace(dir, plan);
  const stop = (): void => {
    workspace.remove();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const machine = describeMachine(workspace.folder);
    const random = new Random(plan.seed);
    console.error(`seed ${plan.seed}`);
    const answers: Answer[] = [];
    for (const [name, ask] of chosen) {
      const start = performance.now();
      const answer = await ask({ plan, workspace, random });
      answers.push(answer);
      console.log(JSON.stringify(answer));
      console.error(`${name}: ${((performance.now() - start) / 1_000).toFixed(1)} s`);
    }
    const markdown = markdownPage(subject, machine, plan, answers);
    console.log(`\n${markdown}`);
    const page = pages.get(subject);
    if (write && page !== undefined) fs.writeFileSync(path.join(docs, page), markdown);
  } finally {
    workspace.remove();
  }
}

let wish: Wish | undefined;
try {
  wish = readWish();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  process.exitCode = 2;
}
if (wish !== undefined) await askAll(wish);
