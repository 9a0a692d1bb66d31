import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Bench, gatebookBin, openBench } from '../cli/gatebook.js';
import { fixture, initialize, startGate, toolCall, until } from '../mcp/gate.js';
import { checkCosignature, split } from './cosignatures.js';
import { latest } from './tree.js';
import { startWitness, type WitnessProcess } from './witness-process.js';

// Each starts many processes, and the machine may be busy.
vi.setConfig({ testTimeout: 300_000 });

/** A log that is written keeps its witnesses and anchors up to date, and none of them can hold it up. */

const event = { event_type: 'tool_execution' };
const closers: (() => Promise<unknown> | unknown)[] = [];
let bench: Bench;
let witness: WitnessProcess;
let origin: string;

beforeAll(async () => {
  bench = await openBench();
  await bench.run(['init']);
  origin = readFileSync(join(bench.keys, 'origin'), 'utf8').trim();
  witness = await newWitness('w1');
});

afterAll(async () => {
  for (const close of closers) await close();
  await bench.remove();
});

async function newWitness(name: string, port?: number): Promise<WitnessProcess> {
  const started = await startWitness({
    state: join(bench.folder, name),
    name: `witness.example/${name}`,
    logKeys: [join(bench.keys, 'public-key')],
    ...(port === undefined ? {} : { port }),
  });
  closers.push(() => started.end('SIGKILL'));
  return started;
}

/** A server that is no witness. */
async function fakeWitness(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The cosigned checkpoints that are kept, and their bytes. */
function cosignedFiles(): string[] {
  const folder = join(bench.log, 'cosigned');
  const names = readdirSync(folder).filter((name) => /^\d{20}$/.test(name));
  return names.map((name) => readFileSync(join(folder, name), 'latin1'));
}

interface Writer {
  /** Records events; resolves when they are acknowledged, with the time that took in ms. */
  record(count: number): Promise<number>;
  /** Closes the log; resolves with the time that took in ms. */
  end(): Promise<number>;
}

/** A `gatebook record` that stays open. */
function openWriter(options: readonly string[], keys = bench.keys, log = bench.log): Writer {
  const args = [gatebookBin, 'record', '--log', log, '--keys', keys, ...options];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let acknowledged = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    acknowledged += chunk.toString().split('"ok":true').length - 1;
  });
  return {
    record: async (count) => {
      const since = performance.now();
      const wanted = acknowledged + count;
      child.stdin.write(`${JSON.stringify(event)}\n`.repeat(count));
      await until(() => acknowledged >= wanted);
      return performance.now() - since;
    },
    end: async () => {
      const since = performance.now();
      child.stdin.end();
      await once(child, 'exit');
      return performance.now() - since;
    },
  };
}

interface Outside {
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly confirmed?: string;
  readonly error?: string;
  readonly lag: number;
}

async function statusOf(name: string): Promise<Outside | undefined> {
  const ran = await bench.run(['audit', 'status', '--json']);
  const { outside } = JSON.parse(ran.stdout) as { outside: Outside[] };
  return outside.find((each) => each.name === name);
}

async function verify(
  ...options: string[]
): Promise<{ code: number | null; verdict: string; size?: number }> {
  const ran = await bench.run(['audit', 'verify', '--json', ...options]);
  const report = JSON.parse(ran.stdout) as { verdict: string; witnessed?: { size: number } };
  const size = report.witnessed?.size;
  return { code: ran.code, verdict: report.verdict, ...(size === undefined ? {} : { size }) };
}

describe('a log with a witness', () => {
  test('is cosigned at its start, while it is written, and at its close', async () => {
    const writer = openWriter(['--witness', witness.option, '--witness-interval', '200ms']);
    await writer.record(3);
    await until(async () => (await latest(witness.url, origin)).status === 200);
    const first = (await latest(witness.url, origin)).body;
    await writer.record(300);
    await until(async () => Number((await latest(witness.url, origin)).body.split('\n')[1]) > 300);
    await writer.end();
    const last = (await latest(witness.url, origin)).body;
    expect(Number(first.split('\n')[1])).toBeLessThan(Number(last.split('\n')[1]));
    expect(last.split('\n')[1]).toBe(String((await bench.records()).length));
  });

  test('keeps every cosigned checkpoint, with the log’s signature and the witness’s', async () => {
    const files = readdirSync(join(bench.log, 'cosigned')).filter((name) => /^\d{20}$/.test(name));
    expect(files.length).toBeGreaterThanOrEqual(3);
    for (const name of files) {
      const { text, lines } = split(readFileSync(join(bench.log, 'cosigned', name), 'utf8'));
      expect(text).toMatch(new RegExp(`^${origin}\\n${Number(name)}\\n`));
      expect(lines.length).toBe(2);
      expect(lines[0]).toContain(`— ${origin} `);
      checkCosignature(text, lines[1]!, witness.key);
    }
    expect(await verify('--witness', witness.option, '--max-age', '10m', '--strict')).toMatchObject(
      {
        code: 0,
        verdict: 'ok',
      },
    );
  });

  test('is cosigned again while nothing is recorded, so that its age shows', async () => {
    const writer = openWriter(['--witness', witness.option, '--witness-interval', '200ms']);
    await writer.record(1);
    await sleep(1_200);
    const { body } = await latest(witness.url, origin);
    await until(async () => (await latest(witness.url, origin)).body !== body);
    const again = (await latest(witness.url, origin)).body;
    expect(again.split('\n').slice(0, 3)).toEqual(body.split('\n').slice(0, 3));
    const time = (note: string): number => {
      const { text, lines } = split(note);
      return checkCosignature(text, lines.at(-1)!, witness.key).seconds;
    };
    expect(time(again)).toBeGreaterThan(time(body));
    await writer.end();
  });

  test('puts the cosigned checkpoint into its proofs', async () => {
    const policy = join(bench.folder, 'policy');
    writeFileSync(policy, `witness w ${witness.key}\nquorum w\n`);
    const proof = join(bench.folder, 'proof');
    expect((await bench.run(['audit', 'prove', '--seq', '3', '-o', proof])).code).toBe(0);
    const key = join(bench.keys, 'public-key');
    const good = await bench.run(['audit', 'check-proof', proof, '--key', key, '--policy', policy]);
    expect([good.code, good.stdout]).toEqual([0, expect.stringContaining('witnessed as of')]);
    const stranger = await newWitness('stranger');
    writeFileSync(policy, `witness w ${stranger.key}\nquorum w\n`);
    const bad = await bench.run(['audit', 'check-proof', proof, '--key', key, '--policy', policy]);
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining('policy')]);
  });

  test('takes a policy of two witnesses of three, and verify asks for two', async () => {
    const more = [witness, await newWitness('w2'), await newWitness('w3')];
    const policy = join(bench.folder, 'two-of-three');
    const lines = more.map(({ key, url }, i) => `witness W${i} ${key} ${url}`);
    writeFileSync(policy, [...lines, 'group G 2 W0 W1 W2', 'quorum G', ''].join('\n'));
    await more[2]!.end();
    const ran = await bench.run(['audit', 'cosign', '--policy', policy]);
    expect([ran.code, ran.stdout]).toEqual([1, expect.stringContaining('w3: it did not answer')]);
    expect(await verify('--policy', policy, '--max-age', '1m')).toMatchObject({ code: 0 });
    await bench.record([event]);
    const one = join(bench.folder, 'all-three');
    writeFileSync(one, [...lines, 'group G all W0 W1 W2', 'quorum G', ''].join('\n'));
    expect(await verify('--policy', one)).toEqual({ code: 3, verdict: 'unverifiable' });
  });

  test('through gatebook mcp is cosigned while the session runs and when it ends', async () => {
    const before = (await bench.records()).length;
    const gate = startGate(bench, [process.execPath, fixture('both-eras-server.mjs')], {
      options: ['--witness', witness.option, '--witness-interval', '200ms'],
    });
    gate.send(initialize);
    await gate.answer('init');
    gate.send(toolCall(1, 'add', { a: 1, b: 2 }));
    await gate.answer(1);
    await until(
      async () => Number((await latest(witness.url, origin)).body.split('\n')[1]) > before + 2,
    );
    gate.child.stdin.end();
    await gate.ended;
    const size = Number((await latest(witness.url, origin)).body.split('\n')[1]);
    expect(size).toBe((await bench.records()).length);
  });
});

describe('a witness that', () => {
  test('is down delays nothing; status shows how far behind it is; it is caught up later', async () => {
    const port = Number(new URL(witness.url).port);
    const { option } = witness;
    await witness.end();
    const writer = openWriter(['--witness', option, '--witness-interval', '200ms']);
    expect(await writer.record(200)).toBeLessThan(9_000);
    await until(async () => ((await statusOf('witness.example/w1'))?.lag ?? 0) >= 200);
    const failing = await statusOf('witness.example/w1');
    expect(failing?.error).toContain('ECONNREFUSED');
    witness = await newWitness('w1', port);
    await until(async () => (await statusOf('witness.example/w1'))?.lag === 0);
    expect((await statusOf('witness.example/w1'))?.error).toBeUndefined();
    expect(await writer.end()).toBeLessThan(9_000);
  });

  test('does not answer delays appends not at all and the close by two seconds at most', async () => {
    const url = await fakeWitness(() => {});
    const writer = openWriter([
      '--witness',
      `${url}=${witness.key}`,
      '--witness-interval',
      '200ms',
    ]);
    expect(await writer.record(200)).toBeLessThan(9_000);
    const closed = await writer.end();
    expect(closed).toBeGreaterThan(1_000);
    // The request itself would be given up after ten.
    expect(closed).toBeLessThan(9_000);
  });

  const lies: Readonly<
    Record<string, { readonly says: string; readonly answer: RequestListener }>
  > = {
    'signs with another key': {
      says: 'not good',
      answer: (_request, response) => {
        const id = Buffer.from(witness.key.split('+')[1]!, 'hex');
        const packed = Buffer.concat([id, Buffer.alloc(72, 1)]).toString('base64');
        response.end(`— witness.example/w1 ${packed}\n`);
      },
    },
    'signs as somebody else': {
      says: 'without a cosignature',
      answer: (_request, response) =>
        response.end(`— witness.example/w9 ${Buffer.alloc(76, 1).toString('base64')}\n`),
    },
    'answers without an end': {
      says: 'larger than',
      answer: (_request, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x'))) {}
        };
        response.on('drain', more);
        more();
      },
    },
    'answers 409 with a larger size than the log ever had': {
      says: 'rolled back|cut off',
      answer: (_request, response) => {
        response.writeHead(409, { 'Content-Type': 'text/x.tlog.size' }).end('99999999\n');
      },
    },
    'answers 409 with nonsense': {
      says: 'without the size',
      answer: (_request, response) => {
        response.writeHead(409, { 'Content-Type': 'text/x.tlog.size' }).end('-1\n');
      },
    },
    'moves on for ever': {
      says: 'moved on',
      answer: (request, response) => {
        request.resume();
        request.on('end', () => {
          response.writeHead(409, { 'Content-Type': 'text/x.tlog.size' }).end('1\n');
        });
      },
    },
    'redirects elsewhere': {
      says: 'did not answer',
      answer: (_request, response) => {
        response.writeHead(307, { Location: `${witness.url}/add-checkpoint` }).end();
      },
    },
  };

  for (const [kind, { says, answer }] of Object.entries(lies)) {
    test(`${kind} is not believed`, async () => {
      const url = await fakeWitness(answer);
      const before = cosignedFiles();
      const ran = await bench.run(['audit', 'cosign', '--witness', `${url}=${witness.key}`]);
      expect([ran.code, ran.stdout]).toEqual([1, expect.stringMatching(says)]);
      expect(cosignedFiles()).toEqual(before);
    });
  }

  test('lied leaves the log as it was', async () => {
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  test('gives a verifier something else than the log’s checkpoint proves nothing against the log', async () => {
    const key = witness.key;
    const rubbish: readonly RequestListener[] = [
      (_request, response) => response.end('not a note'),
      (_request, response) => response.end(`${origin}\n1\n${'A'.repeat(43)}=\n\n— x AAAAAAAA\n`),
      (_request, response) => response.writeHead(404).end(),
      (_request, response) => response.end(readFileSync(join(bench.log, 'checkpoint'))),
    ];
    for (const listener of rubbish) {
      const url = await fakeWitness(listener);
      const answer = await verify('--witness', `${url}=${key}`);
      expect(answer).toMatchObject({ code: 3, verdict: 'unverifiable' });
    }
  });
});

test('of several processes that have the log open one after the other only one feeds at a time', async () => {
  const options = ['--witness', witness.option, '--witness-interval', '200ms'];
  const first = openWriter(options);
  await first.record(1);
  await until(async () => (await statusOf('witness.example/w1'))?.lag === 0);
  await first.end();
  const second = openWriter(options);
  await second.record(1);
  await until(async () => (await statusOf('witness.example/w1'))?.lag === 0);
  await second.end();
  expect((await verify('--witness', witness.option, '--strict')).code).toBe(0);
});
