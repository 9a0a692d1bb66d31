import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseVerifierKey } from './checkpoint.js';
import { nextEpochKey, parseHmacKey } from './epoch-keys.js';
import {
  createKeys,
  eraseEpochKey,
  initialKeyOnHost,
  readEpochKey,
  readHead,
  readKeys,
  readPublicKeyFile,
  storedEpochs,
  storeNextEpochKey,
} from './keys.js';
import { temporaryFolder } from './testing/folders.js';

const fresh = (): string => path.join(temporaryFolder(), 'keys');

test('new keys are private files that read back, different for every log', () => {
  const folder = fresh();
  const made = createKeys(folder);
  expect(fs.statSync(folder).mode & 0o777).toBe(0o700);
  for (const name of fs.readdirSync(folder)) {
    const mode = fs.statSync(path.join(folder, name)).mode & 0o777;
    expect(mode, name).toBe(name === 'public-key' ? 0o644 : 0o600);
    expect(name.endsWith('.tmp')).toBe(false);
  }
  const read = readKeys(folder);
  expect(read?.origin).toBe(made.origin);
  expect(read?.signing.publicKey.text).toBe(made.signing.publicKey.text);
  expect(storedEpochs(folder)).toEqual([0]);
  const initial = parseHmacKey(fs.readFileSync(initialKeyOnHost(folder)!, 'utf8'));
  expect(initial.origin).toBe(made.origin);
  expect(readEpochKey(made, 0)).toEqual(initial.key);
  expect(readHead(made)).toMatchObject({ size: 0, epoch: 0, origin: made.origin });
  const other = createKeys(fresh());
  expect(other.origin).not.toBe(made.origin);
  expect(other.signing.publicKey.text).not.toBe(made.signing.publicKey.text);
});

test('a folder whose set-up was not finished holds no keys', () => {
  const folder = fresh();
  expect(readKeys(folder)).toBeUndefined();
  createKeys(folder);
  fs.writeFileSync(path.join(folder, 'origin'), '');
  expect(readKeys(folder)).toBeUndefined();
});

test('a set-up that begins anew first removes what the one before it left', () => {
  const folder = fresh();
  createKeys(folder);
  fs.writeFileSync(path.join(folder, 'origin'), '');
  // It is cut short before it has written anything of its own but the signing key.
  fs.mkdirSync(path.join(folder, 'public-key.tmp'));
  expect(() => createKeys(folder)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  const left = fs.readdirSync(folder).sort();
  expect(left).toEqual(['origin', 'public-key.tmp', 'signing-key.pem']);
});

test('a move stores the next key before the old one goes, and erasing twice is no error', () => {
  const keys = createKeys(fresh());
  const first = readEpochKey(keys, 0);
  const next = storeNextEpochKey(keys, 0, first);
  expect(next).toEqual(nextEpochKey(first, keys.origin));
  expect(storedEpochs(keys.folder)).toEqual([0, 1]);
  eraseEpochKey(keys, 0);
  expect(storedEpochs(keys.folder)).toEqual([1]);
  expect(readEpochKey(keys, 1)).toEqual(next);
  expect(() => eraseEpochKey(keys, 0)).not.toThrow();
});

describe('refused', () => {
  test.each(['signing-key.pem', '.'])('open to others: %s', (name) => {
    const { folder } = createKeys(fresh());
    for (const mode of [0o640, 0o604, 0o660, 0o644]) {
      fs.chmodSync(path.join(folder, name), name === '.' ? mode | 0o100 : mode);
      expect(() => readKeys(folder)).toThrow(expect.objectContaining({ code: 'keys_unsafe' }));
    }
  });

  test('a signing key that is gone, damaged, or of another kind', () => {
    const { folder } = createKeys(fresh());
    const file = path.join(folder, 'signing-key.pem');
    fs.writeFileSync(file, 'x');
    expect(() => readKeys(folder)).toThrow(expect.objectContaining({ code: 'bad_key' }));
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    fs.writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    expect(() => readKeys(folder)).toThrow(expect.objectContaining({ code: 'bad_key' }));
    fs.rmSync(file);
    expect(() => readKeys(folder)).toThrow(expect.objectContaining({ code: 'keys_missing' }));
  });

  test('a folder that was there before and is open to others gets no keys', () => {
    const folder = fresh();
    fs.mkdirSync(folder, { mode: 0o755 });
    expect(() => createKeys(folder)).toThrow(expect.objectContaining({ code: 'keys_unsafe' }));
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});

test('a public key file is read and checked, and named when it is wrong', async () => {
  const { folder, signing } = createKeys(fresh());
  const { publicKey } = signing;
  const file = path.join(folder, 'public-key');
  expect(await readPublicKeyFile(file)).toBe(publicKey.text);
  expect(parseVerifierKey(publicKey.text).name).toBe(publicKey.name);
  fs.writeFileSync(file, publicKey.text.slice(0, -4));
  for (const wrong of [file, path.join(folder, 'nothing'), folder]) {
    await expect(readPublicKeyFile(wrong)).rejects.toMatchObject({
      code: 'bad_key',
      message: expect.stringContaining(wrong),
    });
  }
});
