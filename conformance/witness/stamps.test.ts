import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Bench, openBench, type Ran } from '../cli/gatebook.js';

// Each starts many processes, and the machine may be busy.
vi.setConfig({ testTimeout: 300_000 });

/** Anchors: RFC 3161 time stamps, given by `openssl ts` and checked by it too; files and commands. */

let bench: Bench;
let server: Server;
let url: string;
let tsa: string;
/** What the authority does to its answer. */
let spoil: (answer: Buffer) => Buffer = (answer) => answer;

const config = `
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamping]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = t
[t]
serial = ./serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
`;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: tsa, stdio: 'pipe' });
}

function makeCa(name: string): void {
  openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '3650', '-subj', '/CN=root'],
    ...['-config', 'config', '-extensions', 'ca'],
  );
}

function makeSigner(name: string, ca: string, extensions: string): void {
  openssl(
    ...['req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`],
    ...['-subj', `/CN=${name}`, '-config', 'config'],
  );
  openssl(
    ...['x509', '-req', '-in', `${name}.csr`, '-CA', `${ca}.pem`, '-CAkey', `${ca}.key`],
    ...['-CAcreateserial', '-days', '365', '-extfile', 'config', '-extensions', extensions],
    ...['-out', `${name}.pem`],
  );
}

beforeAll(async () => {
  bench = await openBench();
  tsa = join(bench.folder, 'tsa');
  mkdirSync(tsa);
  writeFileSync(join(tsa, 'config'), config);
  writeFileSync(join(tsa, 'serial'), '01\n');
  makeCa('root');
  makeCa('stranger');
  makeSigner('stamper', 'root', 'stamping');
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      writeFileSync(join(tsa, 'query'), Buffer.concat(chunks));
      openssl(
        ...['ts', '-reply', '-config', 'config', '-queryfile', 'query', '-signer', 'stamper.pem'],
        ...['-inkey', 'stamper.key', '-out', 'reply'],
      );
      response.writeHead(200, { 'Content-Type': 'application/timestamp-reply' });
      response.end(spoil(readFileSync(join(tsa, 'reply'))));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsa`;
  await bench.record([{ event_type: 'auth_login' }]);
}, 120_000);

afterAll(async () => {
  server?.close();
  await bench?.remove();
});

function stamps(): string[] {
  return readdirSync(join(bench.log, 'anchors')).map((name) => join(bench.log, 'anchors', name));
}

async function verify(...options: string[]): Promise<Ran> {
  return await bench.run(['audit', 'verify', ...options]);
}

describe('a time stamp', () => {
  test('is asked for, kept, and the same to openssl', async () => {
    const ran = await bench.run(['audit', 'cosign', '--anchor-tsa', url]);
    expect([ran.code, ran.stdout]).toEqual([
      0,
      expect.stringContaining('time stamps of 127.0.0.1'),
    ]);
    const [file = ''] = stamps();
    const entry = JSON.parse(readFileSync(file, 'utf8')) as { checkpoint: string; rfc3161: string };
    expect(entry.checkpoint).toBe(readFileSync(join(bench.log, 'checkpoint'), 'utf8'));
    writeFileSync(join(tsa, 'stamp'), Buffer.from(entry.rfc3161, 'base64'));
    writeFileSync(join(tsa, 'note'), entry.checkpoint);
    const checked = spawnSync(
      'openssl',
      ['ts', '-verify', '-in', 'stamp', '-data', 'note', '-CAfile', 'root.pem'],
      { cwd: tsa, encoding: 'utf8' },
    );
    expect(checked.stdout + checked.stderr).toContain('Verification: OK');
  });

  test('says when the log was seen, to whoever brings the authority’s root', async () => {
    const [file = ''] = stamps();
    const root = join(tsa, 'root.pem');
    expect((await verify('--anchor', file, '--tsa-cert', root, '--max-age', '10m')).code).toBe(0);
    expect((await verify('--anchor', file, '--tsa-cert', root, '--max-age', '1ms')).code).toBe(3);
    expect((await verify('--anchor', file, '--max-age', '10m')).code).toBe(3);
    expect((await verify('--anchor', file)).code).toBe(0);
    const stranger = await verify('--anchor', file, '--tsa-cert', join(tsa, 'stranger.pem'));
    expect([stranger.code, stranger.stdout]).toEqual([3, expect.stringContaining('time stamp')]);
  });

  test('of another checkpoint, or with a claimed time of its own, says nothing', async () => {
    const [file = ''] = stamps();
    const entry = JSON.parse(readFileSync(file, 'utf8')) as { rfc3161: string };
    await bench.record([{ event_type: 'auth_login' }]);
    const moved = join(bench.folder, 'moved');
    const checkpoint = readFileSync(join(bench.log, 'checkpoint'), 'utf8');
    const anchoredAt = new Date().toISOString();
    const line = { anchored_at: anchoredAt, checkpoint, rfc3161: entry.rfc3161 };
    writeFileSync(moved, `${JSON.stringify(line)}\n`);
    const root = join(tsa, 'root.pem');
    expect((await verify('--anchor', moved, '--tsa-cert', root)).code).toBe(3);
    expect((await verify('--anchor', moved, '--max-age', '10m')).code).toBe(3);
  });

  test('that is damaged, of something else or too large is not taken', async () => {
    const bad: Record<string, (answer: Buffer) => Buffer> = {
      'no answer at all': () => Buffer.alloc(0),
      nonsense: () => Buffer.from('hello'),
      'an older answer': () => Buffer.from(readStamp(), 'base64'),
      'too large': () => Buffer.alloc(100_000, 0x30),
    };
    const before = stamps().length;
    for (const [kind, change] of Object.entries(bad)) {
      spoil = change;
      const ran = await bench.run(['audit', 'cosign', '--anchor-tsa', url]);
      expect([kind, ran.code]).toEqual([kind, 1]);
    }
    spoil = (answer) => answer;
    expect(stamps().length).toBe(before);
  });
});

function readStamp(): string {
  const [file = ''] = stamps();
  return (JSON.parse(readFileSync(file, 'utf8')) as { rfc3161: string }).rfc3161;
}

describe('an anchor', () => {
  test('file goes on after a crash cut its last line short, and refuses what is no entry', async () => {
    const file = join(bench.folder, 'anchors.jsonl');
    const anchor = ['audit', 'cosign', '--anchor-file', file];
    expect((await bench.run(anchor)).code).toBe(0);
    appendFileSync(file, '{"anchored_at":"2026-');
    await bench.record([{ event_type: 'auth_login' }]);
    expect((await bench.run(anchor)).code).toBe(0);
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.length).toBe(4);
    const good = await verify('--anchor', file, '--max-age', '10m');
    expect([good.code, good.stdout]).toEqual([0, expect.stringContaining('the anchor')]);
    for (const line of ['{}', '{"anchored_at":"2026-01-01T00:00:00Z","checkpoint":"x"}', '7']) {
      writeFileSync(join(bench.folder, 'bad'), `${line}\n`);
      expect([line, (await verify('--anchor', join(bench.folder, 'bad'))).code]).toEqual([line, 2]);
    }
    expect((await verify('--anchor', join(bench.folder, 'absent'))).code).toBe(2);
  });

  test('command gets the checkpoint; one that fails or hangs is told by its name and harms nothing', async () => {
    const got = join(bench.folder, 'got');
    const good = await bench.run(['audit', 'cosign', '--anchor-command', `cat > ${got}`]);
    expect(good.code).toBe(0);
    expect(readFileSync(got, 'utf8')).toBe(readFileSync(join(bench.log, 'checkpoint'), 'utf8'));
    const bad = await bench.run(['audit', 'cosign', '--anchor-command', 'false --token s3cret']);
    expect([bad.code, bad.stdout]).toEqual([1, expect.stringContaining('command false')]);
    expect(bad.stdout + bad.stderr).not.toContain('s3cret');
    const since = performance.now();
    const input = `${JSON.stringify({ event_type: 'auth_login' })}\n`;
    const hanging = await bench.run(['record', '--anchor-command', 'sleep 60'], { input });
    expect(hanging.code).toBe(0);
    expect(performance.now() - since).toBeLessThan(15_000);
    const status = await bench.run(['audit', 'status']);
    expect(status.stdout).toMatch(/^anchor {6}command sleep: .*did not end in time/m);
  });
});
