import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freshSigner, note, signedCheckpoint } from '../attacks/notes.js';
import { run } from '../cli/gatebook.js';
import { checkCosignature, split } from './cosignatures.js';
import { checkpointOf, growth, latest, post, request, treeOf } from './tree.js';
import { startWitness, type WitnessProcess, witnessArgs } from './witness-process.js';

// Each starts many processes, and the machine may be busy.
vi.setConfig({ testTimeout: 300_000 });

/** `gatebook witness` against c2sp.org/tlog-witness, by requests made here with nothing of gatebook. */

const folder = mkdtempSync(join(tmpdir(), 'gatebook-witness-'));
const state = join(folder, 'state');
const name = 'witness.example/w1';
const log = freshSigner('log.example/one');
const other = freshSigner('log.example/two');
const logKeys = [log.publicKey, other.publicKey];
let witness: WitnessProcess;

beforeAll(async () => {
  witness = await startWitness({ state, name, logKeys });
});

afterAll(async () => {
  await witness?.end();
  rmSync(folder, { recursive: true, force: true });
});

/** A log of its own for a test, with the witness restarted to know it. */
async function newLog(origin: string): Promise<ReturnType<typeof freshSigner>> {
  const signer = freshSigner(origin);
  logKeys.push(signer.publicKey);
  await witness.end();
  witness = await startWitness({ state, logKeys });
  return signer;
}

describe('a witness', () => {
  test('makes its key at the first start, for its owner only, and prints the public one', () => {
    expect(witness.key).toMatch(/^witness\.example\/w1\+[0-9a-f]{8}\+/);
    expect(statSync(join(state, 'signing-key.pem')).mode & 0o777).toBe(0o600);
    expect(statSync(state).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(state, 'public-key'), 'utf8')).toBe(`${witness.key}\n`);
  });

  test('has no checkpoint of a log that it never cosigned', async () => {
    expect((await latest(witness.url, other.name)).status).toBe(404);
    expect((await latest(witness.url, 'nobody.example')).status).toBe(404);
  });

  test('cosigns a first checkpoint, one that extends it, and the same once more', async () => {
    const before = Math.floor(Date.now() / 1000);
    let size = 0;
    for (const next of [5, 5, 8, 9, 300, 300, 1_000]) {
      const tree = treeOf(next);
      const reply = await post(witness.url, growth(size, tree, log));
      expect([reply.status, reply.body.split('\n').length]).toEqual([200, 2]);
      const { text } = split(checkpointOf(tree, log));
      const { seconds } = checkCosignature(text, reply.body, witness.key);
      expect(seconds).toBeGreaterThanOrEqual(before);
      expect(seconds).toBeLessThanOrEqual(Date.now() / 1000);
      size = next;
    }
  });

  test('serves the latest with the log’s signature and the cosignature it gave', async () => {
    const tree = treeOf(1_100);
    const given = await post(witness.url, growth(1_000, tree, log));
    const reply = await latest(witness.url, log.name);
    expect([reply.status, reply.type]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(reply.body).toBe(checkpointOf(tree, log) + given.body);
  });

  test('answers 409 with the size it has, whatever else is asked', async () => {
    for (const [old, size] of [
      [0, 1_100],
      [5, 2_000],
      [1_099, 1_100],
      [1_101, 2_000],
    ] as const) {
      const reply = await post(witness.url, growth(old, treeOf(size), log));
      expect(reply).toEqual({ status: 409, type: 'text/x.tlog.size', body: '1100\n' });
    }
  });

  test('refuses a split view with 422, of the same size and of a larger one', async () => {
    for (const size of [1_100, 1_101, 5_000]) {
      const fork = treeOf(size, 700, 'fork');
      const reply = await post(witness.url, growth(1_100, fork, log));
      expect([size, reply.status]).toEqual([size, 422]);
    }
    expect((await latest(witness.url, log.name)).body).toContain('\n1100\n');
    expect(witness.stderr()).toContain(`refused (422): ${log.name}`);
  });

  test('refuses a proof that is short, long, changed or not wanted with 422', async () => {
    const tree = treeOf(2_000);
    const sound = growth(1_100, tree, log);
    const [first = '', ...rest] = sound.split('\n');
    const proofs = {
      short: [first, ...rest.slice(1)].join('\n'),
      long: [first, rest[0], ...rest].join('\n'),
      changed: [first, Buffer.alloc(32, 1).toString('base64'), ...rest.slice(1)].join('\n'),
    };
    for (const [kind, body] of Object.entries(proofs)) {
      expect([kind, (await post(witness.url, body)).status]).toEqual([kind, 422]);
    }
    const first0 = request(0, [Buffer.alloc(32)], checkpointOf(treeOf(3), other));
    expect((await post(witness.url, first0)).status).toBe(422);
    const empty = signedCheckpoint({ origin: other.name, size: 0, root: Buffer.alloc(32) }, other);
    expect((await post(witness.url, request(0, [], empty))).status).toBe(422);
    const same = request(1_100, [Buffer.alloc(32)], checkpointOf(treeOf(1_100), log));
    expect((await post(witness.url, same)).status).toBe(422);
  });

  test('answers 404 for a log it does not know, 403 without a good signature of the log', async () => {
    const stranger = freshSigner('log.example/stranger');
    expect((await post(witness.url, growth(0, treeOf(3), stranger))).status).toBe(404);
    const impostor = freshSigner(log.name);
    expect((await post(witness.url, growth(1_100, treeOf(1_200), impostor))).status).toBe(403);
    const { text, lines } = split(checkpointOf(treeOf(1_200), log));
    const wrong = split(checkpointOf(treeOf(1_300), log)).lines;
    const proof = growth(1_100, treeOf(1_200), log).split('\n\n')[0];
    for (const signatures of [wrong, [...lines, ...wrong]]) {
      const body = `${proof}\n\n${note(text, ...signatures)}`;
      expect((await post(witness.url, body)).status).toBe(403);
    }
  });

  test('answers 400 to what is no request', async () => {
    const sound = growth(1_100, treeOf(1_200), log);
    const hash = Buffer.alloc(32).toString('base64');
    const bodies: Record<string, string | Buffer> = {
      empty: '',
      'without old': sound.replace(/^old 1100\n/, ''),
      'leading zero': sound.replace('old 1100', 'old 01100'),
      'size beyond integers': sound.replace('old 1100', 'old 99999999999999999999'),
      'old size larger': growth(1_200, treeOf(1_200), log).replace('old 1200', 'old 1201'),
      'hash of 31 bytes': request(1_100, [Buffer.alloc(31)], checkpointOf(treeOf(1_200), log)),
      '64 hashes': `old 1100\n${`${hash}\n`.repeat(64)}\n${checkpointOf(treeOf(1_200), log)}`,
      'no checkpoint': 'old 1100\n\n',
      'carriage returns': sound.replaceAll('\n', '\r\n'),
      'not UTF-8': Buffer.concat([Buffer.from(sound), Buffer.of(0xff, 10)]),
    };
    for (const [kind, body] of Object.entries(bodies)) {
      expect([kind, (await post(witness.url, body)).status]).toEqual([kind, 400]);
    }
    expect((await latest(witness.url, log.name)).body).toContain('\n1100\n');
  });

  test('bounds a request, knows no other method and no other place', async () => {
    expect((await post(witness.url, Buffer.alloc(1024 * 1024, 'a'))).status).toBe(413);
    expect((await fetch(`${witness.url}/add-checkpoint`)).status).toBe(405);
    expect((await fetch(`${witness.url}/`)).status).toBe(404);
    expect((await fetch(`${witness.url}/${'0'.repeat(64)}/../x/checkpoint`)).status).toBe(404);
    const hash = '0'.repeat(64);
    const put = await fetch(`${witness.url}/${hash}/checkpoint`, { method: 'PUT', body: 'x' });
    expect(put.status).toBe(405);
  });

  test('answers others while somebody sends a request and does not end it', async () => {
    const socket = connect(Number(new URL(witness.url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write('POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 1000\r\n\r\nold 1');
    try {
      expect((await latest(witness.url, log.name)).status).toBe(200);
    } finally {
      socket.destroy();
    }
  });

  test('never cosigns two branches, though both are asked for at once, many times', async () => {
    const forked = await newLog('log.example/forked');
    let size = 0;
    let base = treeOf(0);
    for (let round = 0; round < 20; round++) {
      const fork = size;
      const next = size + 1 + (round % 7);
      const trees = Array.from({ length: 8 }, (_, i) => ({
        leaves: [...base.leaves, ...treeOf(next, fork, `branch ${round} ${i}`).leaves.slice(fork)],
      }));
      const replies = await Promise.all(
        trees.map((tree) => post(witness.url, growth(size, tree, forked))),
      );
      const won = replies.findIndex(({ status }) => status === 200);
      expect(replies.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(409)]);
      base = trees[won]!;
      size = next;
    }
  });

  test('knows after a restart what it has cosigned, and keeps its key', async () => {
    const { key } = witness;
    expect(await witness.end()).toBe(0);
    witness = await startWitness({ state, logKeys });
    expect(witness.key).toBe(key);
    expect((await latest(witness.url, log.name)).body).toContain('\n1100\n');
    const reply = await post(witness.url, growth(0, treeOf(1_100), log));
    expect([reply.status, reply.body]).toEqual([409, '1100\n']);
    expect((await post(witness.url, growth(1_100, treeOf(1_200), log))).status).toBe(200);
  });

  test('takes a log that has extension lines, and signs them', async () => {
    const extended = await newLog('log.example/extended');
    const { text } = split(checkpointOf(treeOf(4), extended));
    const { signatureLine } = await import('../attacks/notes.js');
    const longer = `${text}extension 1\n`;
    const body = request(0, [], note(longer, signatureLine(longer, extended)));
    const reply = await post(witness.url, body);
    expect(reply.status).toBe(200);
    checkCosignature(longer, reply.body, witness.key);
  });

  test('is one process a state folder', async () => {
    const second = await run(witnessArgs({ state, logKeys }));
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('log_locked')]);
  });

  test('does not start when what it has signed was lost, or is not its own', async () => {
    const at = join(folder, 'lost');
    const first = await startWitness({ state: at, name: 'witness.example/lost', logKeys });
    await post(first.url, growth(0, treeOf(3), log));
    await first.end();
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256').update(log.name).digest('hex');
    const { writeFileSync } = await import('node:fs');
    const file = join(at, 'origins', hash, 'checkpoint');
    writeFileSync(file, checkpointOf(treeOf(3), log));
    const unsigned = await run(witnessArgs({ state: at, logKeys }));
    expect([unsigned.code, unsigned.stderr]).toEqual([1, expect.stringContaining('log_damaged')]);
    rmSync(join(at, 'origins'), { recursive: true });
    const lost = await run(witnessArgs({ state: at, logKeys }));
    expect([lost.code, lost.stderr]).toEqual([1, expect.stringContaining('keys_missing')]);
  });
});
