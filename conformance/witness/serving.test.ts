import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { leafHash, rootOf, tilesOf } from '../attacks/merkle.js';
import { parseCheckpoint } from '../attacks/notes.js';
import { type Bench, openBench, run, segmentBytes, start } from '../cli/gatebook.js';

// Each starts many processes, and the machine may be busy.
vi.setConfig({ testTimeout: 300_000 });

/** `gatebook audit serve` against c2sp.org/tlog-tiles. */

const secret = 'Zm9yLXRlc3Rpbmctb25seQ';
let bench: Bench;
const servers: ChildProcessWithoutNullStreams[] = [];

beforeAll(async () => {
  bench = await openBench();
  const events = Array.from({ length: 700 }, (_, at) => ({
    event_type: 'tool_execution',
    action: { tool: `tool-${at}`, resource: 'é'.repeat(at % 50) },
  }));
  const input = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  const ran = await bench.run(['record', '--max-size-mb', '0.05'], { input });
  if (ran.code !== 0) throw new Error(ran.stderr);
});

afterAll(async () => {
  for (const server of servers) server.kill('SIGKILL');
  await bench.remove();
});

/** Serves a log; gives the URL below which it answers. */
async function serve(log: string, options: readonly string[] = []): Promise<string> {
  const child = start(['audit', 'serve', '--log', log, '--http', '127.0.0.1:0', ...options]);
  servers.push(child);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const found = /listening {3}(\S+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    void once(child, 'exit').then(() => reject(new Error(said)));
  });
  return url;
}

async function get(
  url: string,
  init: RequestInit = {},
): Promise<{ status: number; body: Buffer; headers: Headers }> {
  const response = await fetch(url, init);
  const body = Buffer.from(await response.arrayBuffer());
  return { status: response.status, body, headers: response.headers };
}

/** The lines of the log's folder. */
async function linesOf(log: string): Promise<Buffer[]> {
  const bytes = await segmentBytes(log);
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return lines;
}

function parseBundle(bytes: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at);
    entries.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return entries;
}

describe('a served log', () => {
  let url: string;
  let lines: Buffer[];

  beforeAll(async () => {
    url = await serve(bench.log);
    lines = await linesOf(bench.log);
  });

  test('has its checkpoint, not to be cached', async () => {
    const { status, body, headers } = await get(`${url}/checkpoint`);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(headers.get('cache-control')).toBe('no-cache');
    expect(body).toEqual(readFileSync(join(bench.log, 'checkpoint')));
    const { size, root } = parseCheckpoint(body);
    expect([size, root]).toEqual([lines.length, rootOf(lines.map(leafHash))]);
  });

  test('has every tile of its tree, and long-lived headers for them', async () => {
    const tiles = tilesOf(lines.map(leafHash));
    // Two full ones, the partial one, and the one above.
    expect(tiles.size).toBe(4);
    for (const [path, bytes] of tiles) {
      const { status, body, headers } = await get(`${url}/${path}`);
      expect([path, status, body.equals(bytes)]).toEqual([path, 200, true]);
      expect(headers.get('content-type')).toBe('application/octet-stream');
      expect(headers.get('cache-control')).toContain('immutable');
    }
  });

  test('has narrower partial tiles and bundles, for the sizes of earlier checkpoints', async () => {
    const leaves = lines.map(leafHash);
    for (const width of [1, 17, 255]) {
      const tile = await get(`${url}/tile/0/001.p/${width}`);
      expect(tile.body.equals(Buffer.concat(leaves.slice(256, 256 + width)))).toBe(true);
      const bundle = await get(`${url}/tile/entries/001.p/${width}`);
      const wanted = lines.slice(256, 256 + width);
      const entries = parseBundle(bundle.body);
      expect(entries.length).toBe(width);
      expect(entries.every((line, at) => line.equals(wanted[at]!))).toBe(true);
    }
  });

  test('has every record in its bundles, compressed or not', async () => {
    const got: Buffer[] = [];
    for (let index = 0; index * 256 < lines.length; index++) {
      const width = Math.min(256, lines.length - index * 256);
      const path = `tile/entries/${String(index).padStart(3, '0')}${width < 256 ? `.p/${width}` : ''}`;
      const plain = await get(`${url}/${path}`, { headers: { 'Accept-Encoding': 'identity' } });
      expect([plain.status, plain.headers.get('content-encoding')]).toEqual([200, null]);
      const zipped = await fetch(`${url}/${path}`, { headers: { 'Accept-Encoding': 'gzip' } });
      expect(zipped.headers.get('content-encoding')).toBe('gzip');
      expect(zipped.headers.get('vary')).toBe('Accept-Encoding');
      expect(Buffer.from(await zipped.arrayBuffer()).equals(plain.body)).toBe(true);
      got.push(...parseBundle(plain.body));
    }
    expect(got.length).toBe(lines.length);
    expect(got.every((line, at) => line.equals(lines[at]!))).toBe(true);
  });

  test('has nothing beyond its checkpoint, nothing under other names, and takes no other method', async () => {
    const width = lines.length % 256;
    const absent = [
      'tile/0/002',
      'tile/0/003',
      'tile/0/999',
      `tile/0/002.p/${width + 1}`,
      'tile/1/000',
      'tile/63/000',
      'tile/64/000',
      'tile/00/000',
      'tile/0/x000/001',
      'tile/0/1',
      'tile/0/000.p/0',
      'tile/0/000.p/256',
      'tile/entries/002',
      `tile/entries/002.p/${width + 1}`,
      'segments/00000000000000000000.jsonl',
      'tile/entries/../../segments/00000000000000000000.jsonl',
      'tile/0/%30%30%30',
      '',
      'lock',
      'checkpoints/',
    ];
    for (const path of absent) {
      expect([path, (await get(`${url}/${path}`)).status]).toEqual([path, 404]);
    }
    expect((await get(`${url}/checkpoint`, { method: 'POST', body: 'x' })).status).toBe(405);
    const head = await get(`${url}/tile/0/000`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), head.body.length]).toEqual([
      200,
      '8192',
      0,
    ]);
  });

  test('grows while it is written', async () => {
    const writer = bench.start(['record']);
    try {
      writer.stdin.write(`${JSON.stringify({ event_type: 'auth_login' })}\n`.repeat(300));
      let size = 0;
      for (let patience = 0; size < lines.length + 300 && patience < 200; patience++) {
        size = parseCheckpoint((await get(`${url}/checkpoint`)).body).size;
        const width = size % 256;
        const path = `tile/0/${String(Math.floor(size / 256)).padStart(3, '0')}.p/${width}`;
        if (width > 0) expect((await get(`${url}/${path}`)).status).toBe(200);
        await sleep(50);
      }
      expect(size).toBeGreaterThanOrEqual(lines.length + 300);
    } finally {
      writer.stdin.end();
      await once(writer, 'exit');
    }
  });
});

describe('what is served', () => {
  /** A copy of the log that a test may spoil. */
  function copyOf(name: string): string {
    const dir = join(bench.folder, name);
    rmSync(dir, { recursive: true, force: true });
    cpSync(bench.log, dir, { recursive: true });
    return dir;
  }

  function flip(file: string, at: number): void {
    const bytes = readFileSync(file);
    bytes[at] = bytes[at]! ^ 1;
    writeFileSync(file, bytes);
  }

  test('is never a tile that is not under the signed root', async () => {
    const log = copyOf('changed-tile');
    flip(join(log, 'tile/0/001'), 40);
    const url = await serve(log);
    expect((await get(`${url}/tile/0/000`)).status).toBe(200);
    expect((await get(`${url}/tile/0/001`)).status).toBe(503);
    expect((await get(`${url}/tile/entries/001`)).status).toBe(503);
  });

  test('is nothing at all where the tree’s edge is gone or of another tree', async () => {
    for (const spoil of ['gone', 'changed'] as const) {
      const log = copyOf(`edge-${spoil}`);
      const [partial = ''] = readdirSync(join(log, 'tile/0')).filter((name) => name.endsWith('.p'));
      const folder = join(log, 'tile/0', partial);
      const [width = ''] = readdirSync(folder);
      if (spoil === 'gone') rmSync(join(folder, width));
      else flip(join(folder, width), 5);
      const url = await serve(log);
      expect([spoil, (await get(`${url}/tile/0/000`)).status]).toEqual([spoil, 503]);
      expect((await get(`${url}/checkpoint`)).status).toBe(200);
    }
  });

  test('is never a record that is not the one that was signed', async () => {
    const log = copyOf('changed-record');
    const [segment = ''] = readdirSync(join(log, 'segments')).sort();
    const file = join(log, 'segments', segment);
    flip(file, readFileSync(file).indexOf('tool-20') + 5);
    const url = await serve(log);
    expect((await get(`${url}/tile/entries/000`)).status).toBe(503);
    expect((await get(`${url}/tile/entries/001`)).status).toBe(200);
  });

  test('stays below a secret prefix when one is given', async () => {
    const url = await serve(bench.log, ['--prefix', secret]);
    expect((await get(`${url}/${secret}/checkpoint`)).status).toBe(200);
    expect((await get(`${url}/${secret}/tile/0/000`)).status).toBe(200);
    for (const path of [
      'checkpoint',
      `${secret}x/checkpoint`,
      `${secret.slice(1)}/checkpoint`,
      secret,
    ]) {
      expect([path, (await get(`${url}/${path}`)).status]).toEqual([path, 404]);
    }
  });

  test('leaves out bundles below the newest deleted segment, rounded up to a whole one', async () => {
    const log = copyOf('pruned');
    const names = readdirSync(join(log, 'segments')).filter((name) => name.endsWith('.jsonl'));
    names.sort();
    rmSync(join(log, 'segments', names[0]!));
    const end = Number(names[1]!.slice(0, 20));
    const url = await serve(log);
    const minimum = Math.ceil(end / 256) * 256;
    for (let index = 0; index < 3; index++) {
      const { status } = await get(`${url}/tile/entries/00${index}`);
      expect([index, status]).toEqual([index, (index + 1) * 256 <= minimum ? 404 : 200]);
      expect((await get(`${url}/tile/0/00${index}`)).status).toBe(200);
    }
  });

  test('needs a log, a good prefix, and a prefix where others can reach it', async () => {
    mkdirSync(join(bench.folder, 'empty'));
    const at = ['audit', 'serve', '--log', bench.log];
    const bad = [
      [...at],
      [...at, '--http', '127.0.0.1:0', '--prefix', 'short'],
      [...at, '--http', '0.0.0.0:0'],
      [...at, '--http', 'nonsense'],
    ];
    for (const args of bad) expect([args, (await run(args)).code]).toEqual([args, 2]);
    const empty = await run([
      'audit',
      'serve',
      '--log',
      join(bench.folder, 'empty'),
      '--http',
      '127.0.0.1:0',
    ]);
    expect(empty.code).toBe(1);
  });
});

test('gatebook serve offers the log that it writes', async () => {
  const own = await openBench();
  const args = ['serve', '--log', own.log, '--keys', own.keys, '--http', '127.0.0.1:0', '--json'];
  const open = await run([...args, '--http', '0.0.0.0:0']);
  expect([open.code, open.stderr]).toEqual([2, expect.stringContaining('--prefix')]);
  const child = start(args);
  servers.push(child);
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const { url } = JSON.parse(said.toString()) as { url: string };
  await own.record([{ event_type: 'test.one' }, { event_type: 'test.two' }]);
  await vi.waitFor(
    async () => {
      const { status, body } = await get(`${url}/checkpoint`);
      expect([status, body.toString().split('\n')[1]]).toEqual([200, '3']);
    },
    { timeout: 60_000, interval: 200 },
  );
  const entries = await get(`${url}/tile/entries/000.p/3`);
  expect(entries.body.toString()).toContain('"event_type":"test.two"');
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
  expect((await own.run(['audit', 'verify', '--strict'])).code).toBe(0);
  await own.remove();
});
