import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, openBench, segmentBytes } from './gatebook.js';

const event = { event_type: 'auth_login' };
const passphrase = 'correct horse battery staple';

describe('the keys of a log', () => {
  let bench: Bench;
  let old: string;
  beforeEach(async () => {
    bench = await openBench();
    await bench.run(['init']);
    await bench.record([event, event]);
    old = join(bench.folder, 'old-key');
    await cp(join(bench.keys, 'public-key'), old);
  });
  afterEach(() => bench.remove());

  /** Verifies with keys from files, without anything of the keys folder. */
  async function verify(...files: string[]): Promise<string> {
    const keys = files.flatMap((file) => ['--key', file]);
    const ran = await bench.run(['audit', 'verify', '--json', ...keys], {
      env: { GATEBOOK_KEYS: join(bench.folder, 'no-keys') },
    });
    return (JSON.parse(ran.stdout) as { verdict: string }).verdict;
  }

  it('rotate: the old key and the new one verify all, each alone', async () => {
    const ran = await bench.run(['keys', 'rotate']);
    expect(ran.code).toBe(0);
    const next = join(bench.keys, 'public-key');
    expect(await readFile(next, 'utf8')).toBe(ran.stdout);
    expect(ran.stdout).not.toBe(await readFile(old, 'utf8'));
    await bench.record([event]);
    expect((await bench.run(['audit', 'status'])).stdout).toContain(ran.stdout.trim());
    expect(await verify(old)).toBe('ok');
    expect(await verify(next)).toBe('ok');
    expect(await verify(old, next)).toBe('ok');
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
    const pems = (await readdir(bench.keys)).filter((name) => name.endsWith('.pem'));
    expect(pems).toHaveLength(1);
    expect(pems).not.toContain('signing-key.pem');
  });

  it('an overlap lasts until retire; show tells of it', async () => {
    expect((await bench.run(['keys', 'rotate', '--overlap'])).code).toBe(0);
    await bench.record([event]);
    const notes = (await readFile(join(bench.log, 'checkpoint'), 'utf8')).match(/^— /gm);
    expect(notes).toHaveLength(2);
    expect(await bench.run(['keys', 'rotate'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('gatebook keys retire'),
    });
    const during = JSON.parse((await bench.run(['keys', 'show', '--json'])).stdout);
    expect(during.keys).toMatchObject([
      { since: { seq: 0 }, source: 'the file signing-key.pem' },
      { source: expect.stringMatching(/^the file signing-key-[0-9a-f]{8}\.pem$/) },
    ]);
    expect((await bench.run(['keys', 'retire'])).code).toBe(0);
    const shown = (await bench.run(['keys', 'show'])).stdout;
    expect(shown).toMatch(/; retired at seq \d+, /);
    expect(shown).toContain('forward security off');
    expect(await bench.run(['keys', 'retire'])).toMatchObject({ code: 1 });
    expect(await verify(old)).toBe('ok');
  });

  it('while another process writes, rotate says what to do and changes nothing', async () => {
    const writer = bench.start(['record']);
    writer.stdin.write(`${JSON.stringify(event)}\n`);
    await new Promise((resolve) => writer.stdout.once('data', resolve));
    // The writer goes on with its own, so that what it is about to replace may lie there for a moment.
    const names = async (): Promise<string[]> =>
      (await readdir(bench.keys)).filter((name) => !name.endsWith('.tmp')).sort();
    const before = await names();
    const ran = await bench.run(['keys', 'rotate']);
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('end it first') });
    expect(await names()).toEqual(before);
    writer.stdin.end();
    await new Promise((resolve) => writer.once('close', resolve));
  });

  it('export: the public key to stdout, the HMAC key to a new private file, and off the host', async () => {
    expect((await bench.run(['keys', 'export', '--public'])).stdout).toBe(
      await readFile(old, 'utf8'),
    );
    const target = join(bench.folder, 'for-the-auditor');
    const initial = await readFile(join(bench.keys, 'initial-hmac-key'), 'utf8');
    expect((await bench.run(['keys', 'export', '--hmac'])).stdout).toBe(initial);
    const inside = join(bench.keys, 'copy');
    expect((await bench.run(['keys', 'export', '--hmac', '-o', inside])).code).toBe(2);
    expect((await bench.run(['keys', 'export', '--hmac', '--remove'])).code).toBe(2);
    expect((await bench.run(['keys', 'export'])).code).toBe(2);
    const ran = await bench.run(['keys', 'export', '--hmac', '-o', target, '--remove']);
    expect(ran.code).toBe(0);
    expect(await readFile(target, 'utf8')).toBe(initial);
    expect((await stat(target)).mode & 0o777).toBe(0o600);
    expect(existsSync(join(bench.keys, 'initial-hmac-key'))).toBe(false);
    expect((await bench.run(['audit', 'status'])).stdout).toContain('forward security on');
    expect((await bench.run(['keys', 'export', '--hmac', '-o', target])).code).toBe(1);
    await bench.record([event]);
    expect((await bench.run(['audit', 'verify', '--hmac-key', target])).code).toBe(0);
  });

  it('a secret is not shown on a terminal', async () => {
    const command = `${process.execPath} ${join(import.meta.dirname, '..', '..', '..', 'packages', 'gatebook', 'bin', 'gatebook.js')} keys export --hmac --log ${bench.log} --keys ${bench.keys}`;
    const initial = await readFile(join(bench.keys, 'initial-hmac-key'), 'utf8');
    let shown: string;
    try {
      shown = execFileSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8' });
    } catch (error) {
      shown = String((error as { stdout?: unknown }).stdout);
    }
    expect(shown).toContain('terminal');
    expect(shown).not.toContain(initial.trim().split('+').slice(2).join('+'));
  });

  it('a lost signing key: the log goes on in another that names its head', async () => {
    await rm(join(bench.keys, 'signing-key.pem'));
    const refused = await bench.run(['record'], { input: '' });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('init --after') });
    const places = {
      GATEBOOK_LOG: join(bench.folder, 'log2'),
      GATEBOOK_KEYS: join(bench.folder, 'keys2'),
    };
    const ran = await bench.run(['init', '--after', bench.log], { env: places });
    expect(ran.code).toBe(0);
    const [first] = (await segmentBytes(places.GATEBOOK_LOG)).toString().split('\n');
    const lines = (await segmentBytes(bench.log)).toString().split('\n').length - 1;
    const [origin, size, root] = (await readFile(join(bench.log, 'checkpoint'), 'utf8')).split(
      '\n',
    );
    expect(Number(size)).toBe(lines);
    expect(JSON.parse(first!).details).toMatchObject({
      previous_log: { origin, size: lines, root, signed: lines, verdict: 'ok' },
    });
    expect(JSON.parse(first!).details.origin).not.toBe(origin);
    expect((await bench.run(['audit', 'verify'], { env: places })).code).toBe(0);
    expect((await bench.run(['keys', 'show'], { env: places })).stdout).toContain(origin);
    // Told once: a later opening does not name it, nor can a log that is there be given another past.
    await bench.run(['record'], { input: `${JSON.stringify(event)}\n`, env: places });
    expect(
      (await segmentBytes(places.GATEBOOK_LOG)).toString().match(/previous_log/g),
    ).toHaveLength(1);
    expect(await bench.run(['init', '--after', bench.log], { env: places })).toMatchObject({
      code: 1,
    });
  });
});

describe('the signing key comes from', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench.remove());

  const pem = (): string =>
    generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

  async function expectSound(
    env: Readonly<Record<string, string>>,
    secrets: readonly string[],
  ): Promise<void> {
    const recorded = await bench.run(['record'], { input: `${JSON.stringify(event)}\n`, env });
    expect(recorded.code, recorded.stderr).toBe(0);
    const verified = await bench.run([
      'audit',
      'verify',
      '--hmac-key',
      join(bench.keys, 'initial-hmac-key'),
    ]);
    expect(verified.code, verified.stdout).toBe(0);
    const shown = await bench.run(['keys', 'show'], { env });
    const told = [recorded, verified, shown].map(({ stdout, stderr }) => stdout + stderr).join('');
    const book = (await segmentBytes(bench.log)).toString();
    for (const secret of secrets) expect(told + book).not.toContain(secret);
  }

  it('an environment variable, which no command that is started gets to see', async () => {
    const key = pem();
    const env = { GATEBOOK_SIGNING_KEY: key, GATEBOOK_OTHER: 'seen' };
    const made = await bench.run(['init', '--signing-key', 'env:GATEBOOK_SIGNING_KEY'], { env });
    expect(made.code, made.stderr).toBe(0);
    expect(existsSync(join(bench.keys, 'signing-key.pem'))).toBe(false);
    await expectSound(env, [key.split('\n')[1]!]);
    // A policy asks before the whole environment is shown.
    const unrated = { ...env, GATEBOOK_SECURITY_POLICY_ENABLED: 'false' };
    const inside = await bench.run(['exec', '--', 'env'], { env: unrated });
    expect(inside.stdout).toContain('GATEBOOK_OTHER=seen');
    expect(inside.stdout).not.toContain('GATEBOOK_SIGNING_KEY');
    const without = await bench.run(['record'], { input: '' });
    expect(without).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('GATEBOOK_SIGNING_KEY'),
    });
    const other = await bench.run(['record'], { input: '', env: { GATEBOOK_SIGNING_KEY: pem() } });
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('(bad_key)') });
    const named = await bench.run(['init', '--signing-key', 'env:HOME']);
    expect(named.code).toBe(2);
  });

  it('an encrypted file, its passphrase from a variable or a file, made here or elsewhere', async () => {
    const env = { GATEBOOK_SIGNING_PASSPHRASE: passphrase };
    const made = await bench.run(['init', '--passphrase', 'env:GATEBOOK_SIGNING_PASSPHRASE'], {
      env,
    });
    expect(made.code, made.stderr).toBe(0);
    expect(await readFile(join(bench.keys, 'signing-key.pem'), 'utf8')).toContain('ENCRYPTED');
    await expectSound(env, [passphrase]);
    const wrong = await bench.run(['record'], {
      input: '',
      env: { GATEBOOK_SIGNING_PASSPHRASE: 'guess-1' },
    });
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('passphrase') });
    expect(wrong.stderr).not.toContain('guess-1');
    const { privateKey } = generateKeyPairSync('ed25519');
    const file = join(bench.folder, 'elsewhere.pem');
    const encrypted = privateKey.export({
      format: 'pem',
      type: 'pkcs8',
      cipher: 'aes-256-cbc',
      passphrase,
    });
    await writeFile(file, encrypted, { mode: 0o600 });
    const secret = join(bench.folder, 'passphrase');
    await writeFile(secret, `${passphrase}\n`, { mode: 0o644 });
    const rotate = [
      'keys',
      'rotate',
      '--signing-key',
      `file:${file}`,
      '--passphrase',
      `file:${secret}`,
    ];
    expect(await bench.run(rotate, { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('(keys_unsafe)'),
    });
    await chmod(secret, 0o600);
    const rotated = await bench.run(rotate, { env });
    expect(rotated.code, rotated.stderr).toBe(0);
    await expectSound({}, [passphrase]);
    expect(await readdir(bench.keys)).not.toContain('signing-key.pem');
  });

  it('a terminal that asks for the passphrase without echo', async () => {
    const env = { GATEBOOK_SIGNING_PASSPHRASE: passphrase };
    await bench.run(['init', '--passphrase', 'env:GATEBOOK_SIGNING_PASSPHRASE'], { env });
    const state = join(bench.keys, 'signing');
    await writeFile(
      state,
      (await readFile(state, 'utf8')).replace(
        '{"kind":"variable","variable":"GATEBOOK_SIGNING_PASSPHRASE"}',
        '{"kind":"terminal"}',
      ),
    );
    const bin = join(
      import.meta.dirname,
      '..',
      '..',
      '..',
      'packages',
      'gatebook',
      'bin',
      'gatebook.js',
    );
    const command = `${process.execPath} ${bin} audit checkpoint --log ${bench.log} --keys ${bench.keys} && ${process.execPath} ${bin} keys rotate --log ${bench.log} --keys ${bench.keys}`;
    const typist = spawn('script', ['-qec', command, '/dev/null']);
    let shown = '';
    typist.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      if (chunk.toString().includes('passphrase of')) typist.stdin.write(`${passphrase}\n`);
    });
    await new Promise((resolve) => typist.once('close', resolve));
    expect(shown).toContain('passphrase of');
    expect(shown).not.toContain(passphrase);
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  });

  it('a program: a KMS that nobody else can ask', async () => {
    const kms = join(bench.folder, 'kms');
    await writeFile(join(bench.folder, 'kms-key'), pem(), { mode: 0o600 });
    await writeFile(kms, fakeKms(join(bench.folder, 'kms-key')), { mode: 0o700 });
    const made = await bench.run(['init', '--signing-key', `command:${kms}`]);
    expect(made.code, made.stderr).toBe(0);
    await expectSound({}, []);
    expect((await readdir(bench.keys)).filter((name) => name.endsWith('.pem'))).toEqual([]);
    // Another key behind the same name signs nothing.
    await rename(join(bench.folder, 'kms-key'), join(bench.folder, 'kms-key.right'));
    await writeFile(join(bench.folder, 'kms-key'), pem(), { mode: 0o600 });
    const wrong = await bench.run(['record'], { input: `${JSON.stringify(event)}\n` });
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('(signer_failed)') });
    await rename(join(bench.folder, 'kms-key.right'), join(bench.folder, 'kms-key'));
    expect((await bench.run(['keys', 'rotate'])).code).toBe(0);
    await rm(kms);
    await expectSound({}, []);
  });

  it('a program that is away for a while: records go on, and are signed when it is back', async () => {
    const kms = join(bench.folder, 'kms');
    await writeFile(join(bench.folder, 'kms-key'), pem(), { mode: 0o600 });
    await writeFile(kms, fakeKms(join(bench.folder, 'kms-key')), { mode: 0o700 });
    expect((await bench.run(['init', '--signing-key', `command:${kms}`])).code).toBe(0);
    const writer = bench.start(['record']);
    const acknowledged = async (): Promise<void> => {
      writer.stdin.write(`${JSON.stringify(event)}\n`);
      const answer = await new Promise((resolve) => writer.stdout.once('data', resolve));
      expect(String(answer)).toContain('"ok":true');
    };
    await acknowledged();
    await rename(join(bench.folder, 'kms-key'), join(bench.folder, 'away'));
    for (let i = 0; i < 8; i++) {
      await acknowledged();
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await rename(join(bench.folder, 'away'), join(bench.folder, 'kms-key'));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    writer.stdin.end();
    expect(await new Promise((resolve) => writer.once('close', resolve))).toBe(0);
    expect((await bench.run(['audit', 'verify', '--strict'])).code).toBe(0);
  });
});

/** Signs with a key that only it knows the place of, as a wrapper around a KMS does. */
function fakeKms(file: string): string {
  return `#!${process.execPath}
const { createPrivateKey, createPublicKey, sign } = require('node:crypto');
const { readFileSync } = require('node:fs');
const key = createPrivateKey(readFileSync(${JSON.stringify(file)}));
const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
const out = process.argv[2] === 'sign' ? sign(null, readFileSync(0), key) : raw;
console.log(out.toString('base64'));
`;
}
