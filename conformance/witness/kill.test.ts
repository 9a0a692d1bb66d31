import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { rootOf } from '../attacks/merkle.js';
import { freshSigner } from '../attacks/notes.js';
import { Random, seedOfRun } from '../attacks/random.js';
import { gatebookBin } from '../cli/gatebook.js';
import { ensureStrace } from '../power-loss/recording.js';
import { checkCosignature, split } from './cosignatures.js';
import { growth, latest, post, type Tree, treeOf } from './tree.js';
import { listening, startWitness, type WitnessProcess, witnessArgs } from './witness-process.js';

/** Whatever moment the witness is killed at, all that it ever signed is of one history, and what it answered is kept. */

const seed = seedOfRun();
const random = new Random(seed);
const full = process.env['GATEBOOK_CONFORMANCE'] === 'full';
// Each starts many processes, and the machine may be busy: who hangs is to be found, not who is slow.
vi.setConfig({ testTimeout: full ? 3_600_000 : 600_000 });
const folder = mkdtempSync(join(tmpdir(), 'gatebook-witness-kill-'));
const name = 'witness.example/killed';

beforeAll(() => {
  console.log(`kill: seed ${seed} (GATEBOOK_ATTACK_SEED=${seed} gives the same choice)`);
  ensureStrace();
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a witness signed, by size; a second root of one size is a contradiction. */
class Signed {
  readonly #roots = new Map<number, string>();
  #largest = 0;

  add(text: string): void {
    const [, size = '', root = ''] = text.split('\n');
    const known = this.#roots.get(Number(size));
    if (known !== undefined) expect([size, root]).toEqual([size, known]);
    this.#roots.set(Number(size), root);
    this.#largest = Math.max(this.#largest, Number(size));
  }

  get largest(): number {
    return this.#largest;
  }

  /** All of them are beginnings of one tree. */
  expectOneHistory({ leaves }: Tree): void {
    for (const [size, root] of this.#roots) {
      expect([size, rootOf(leaves.slice(0, size)).toString('base64')]).toEqual([size, root]);
    }
  }
}

/** The tree that the witness has cosigned last, of those that may have been asked for. */
async function standing(url: string, origin: string, trees: readonly Tree[]): Promise<Tree> {
  const reply = await latest(url, origin);
  if (reply.status === 404) return { leaves: [] };
  const [, size, root] = reply.body.split('\n');
  const found = trees.find(
    ({ leaves }) =>
      leaves.length >= Number(size) &&
      rootOf(leaves.slice(0, Number(size))).toString('base64') === root,
  );
  if (found === undefined) throw new Error(`the witness has a tree that nobody asked for: ${size}`);
  return { leaves: found.leaves.slice(0, Number(size)) };
}

function grown(base: Tree, by: number, branch: string): Tree {
  const size = base.leaves.length + by;
  return { leaves: [...base.leaves, ...treeOf(size, 0, branch).leaves.slice(base.leaves.length)] };
}

test('a witness killed at random moments never signs two histories', async () => {
  const log = freshSigner('log.example/killed');
  const state = join(folder, 'random');
  const logKeys = [log.publicKey];
  const signed = new Signed();
  let asked: Tree[] = [{ leaves: [] }];
  let base: Tree = { leaves: [] };
  const rounds = full ? 100 : 5;
  for (let round = 0; round < rounds; round++) {
    const witness = await startWitness({ state, name, logKeys });
    base = await standing(witness.url, log.name, asked);
    expect(base.leaves.length).toBeGreaterThanOrEqual(signed.largest);
    asked = [base];
    // Some updates are let through first; the kill comes during one of those that follow.
    const letThrough = 1 + random.below(6);
    let timer: NodeJS.Timeout | undefined;
    // Two branches are offered at every step, as somebody would who has taken the log's key.
    for (let step = 0; step < 40; step++) {
      const trees = ['a', 'b'].map((branch) => grown(base, 1, `${branch} ${round} ${step}`));
      asked.push(...trees);
      const replies = await Promise.all(
        trees.map((tree) => offer(witness, growth(base.leaves.length, tree, log))),
      );
      const won = replies.findIndex((reply) => reply?.status === 200);
      if (won < 0) break;
      const text = textOf(trees[won]!, log.name);
      checkCosignature(text, replies[won]!.body, witness.key);
      signed.add(text);
      base = trees[won]!;
      if (step + 1 === letThrough) {
        timer = setTimeout(() => witness.child.kill('SIGKILL'), random.below(12));
      }
    }
    clearTimeout(timer);
    await witness.end('SIGKILL');
  }
  const witness = await startWitness({ state, name, logKeys });
  const last = await standing(witness.url, log.name, asked);
  await witness.end();
  signed.expectOneHistory(last);
  expect(last.leaves.length).toBeGreaterThan(rounds);
});

function textOf({ leaves }: Tree, origin: string): string {
  return `${origin}\n${leaves.length}\n${rootOf(leaves).toString('base64')}\n`;
}

async function offer(
  witness: WitnessProcess,
  body: string,
): Promise<Awaited<ReturnType<typeof post>> | undefined> {
  try {
    return await post(witness.url, body);
  } catch {
    // It was killed before it answered.
    return undefined;
  }
}

/** The file calls that a start and an update make in the state folder. */
const calls = full
  ? (['openat', 'write', 'pwrite64', 'fsync', 'rename', 'mkdir'] as const)
  : (['fsync', 'rename'] as const);

test('a witness killed at each file call of an update signs nothing that it forgets', async () => {
  const log = freshSigner('log.example/traced');
  let injected = 0;
  for (const call of calls) {
    // Until the start and the update are through with these calls and nothing is killed any more.
    for (let when = 1, killed = true; killed && when <= 60; when++) {
      const state = join(folder, `${call}-${when}`);
      const trace = join(folder, 'trace');
      const first = await startWitness({ state, name, logKeys: [log.publicKey] });
      const base = treeOf(4);
      expect((await post(first.url, growth(0, base, log))).status).toBe(200);
      await first.end();
      const witness = await startTraced(state, [log.publicKey], { call, when, trace });
      if (witness === undefined) {
        // It was killed on the way up; the next start must find everything as it was.
        injected++;
        await expectOneOf(state, log, [4], base);
      } else {
        const reply = await offer(witness, growth(4, grown(base, 2, 'first'), log));
        killed = reply === undefined;
        if (killed) injected++;
        // The process is strace's child, and would outlive it.
        killTraced(state);
        await witness.end();
        if (reply !== undefined) expect(reply.status).toBe(200);
        await expectOneOf(state, log, reply?.status === 200 ? [6] : [4, 6], base);
      }
    }
  }
  console.log(`kill: ${injected} kills at file calls`);
  expect(injected).toBeGreaterThanOrEqual(full ? 10 : 4);
});

/** A new start has one of these sizes, serves it signed, and refuses another branch from there if it has moved on. */
async function expectOneOf(
  state: string,
  log: ReturnType<typeof freshSigner>,
  sizes: readonly number[],
  base: Tree,
): Promise<void> {
  const witness = await startWitness({ state, logKeys: [log.publicKey] });
  try {
    const { body } = await latest(witness.url, log.name);
    const { text, lines } = split(body);
    checkCosignature(text, lines.at(-1)!, witness.key);
    const size = Number(text.split('\n')[1]);
    expect(sizes).toContain(size);
    const other = await post(witness.url, growth(4, grown(base, 2, 'second'), log));
    expect(other.status).toBe(size === 6 ? 409 : 200);
  } finally {
    await witness.end('SIGKILL');
  }
}

function killTraced(state: string): void {
  try {
    process.kill(Number(readFileSync(join(state, 'lock'), 'utf8')), 'SIGKILL');
  } catch {
    // It was killed by the injection.
  }
}

/** Starts the witness under strace, which kills it at the n-th such call; undefined when it dies before it listens. */
async function startTraced(
  state: string,
  logKeys: readonly string[],
  { call, when, trace }: { call: string; when: number; trace: string },
): Promise<WitnessProcess | undefined> {
  const strace = ['-f', '-qq', '-e', 'signal=none', '-e', `trace=${call}`, '-P', state];
  const inject = ['-e', `inject=${call}:signal=SIGKILL:when=${when}`, '-o', trace];
  const paths = ['origins', 'signing-key.pem', 'public-key', 'lock'].flatMap((file) => [
    '-P',
    join(state, file),
  ]);
  const { createHash } = await import('node:crypto');
  const { name: origin } = { name: 'log.example/traced' };
  const own = join(state, 'origins', createHash('sha256').update(origin).digest('hex'));
  const deeper = [own, join(own, 'checkpoint'), join(own, 'checkpoint.tmp')];
  const child = spawn('strace', [
    ...strace,
    ...paths,
    ...deeper.flatMap((file) => ['-P', file]),
    ...inject,
    process.execPath,
    gatebookBin,
    ...witnessArgs({ state, logKeys }),
  ]);
  try {
    return await listening(child);
  } catch {
    return undefined;
  }
}

test('strace is there, so that the kills above were kills', () => {
  expect(spawnSync('strace', ['-V']).status).toBe(0);
});
