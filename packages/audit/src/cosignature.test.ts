import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { keyHash, type Note } from './checkpoint.js';
import {
  cosign,
  cosignatureTime,
  cosignerKey,
  findCosignature,
  parseCosignerKey,
} from './cosignature.js';

const text = 'example.com/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const { privateKey } = generateKeyPairSync('ed25519');
const key = cosignerKey('witness.example/w1', privateKey);
const line = cosign(text, 1_700_000_000, key, privateKey);
const noteOf = (...signatures: Note['signatures'][number][]): Note => ({ text, signatures });

describe('a cosignature', () => {
  test('is 8 bytes of time and 64 of signature, and verifies to its time', () => {
    expect(line.signature.length).toBe(72);
    expect(line.signature.readBigUInt64BE(0)).toBe(1_700_000_000n);
    expect(cosignatureTime(text, line, key)).toBe(1_700_000_000);
  });

  test('is of this text, time and key only', () => {
    const later = Buffer.from(line.signature);
    later[7]! += 1;
    expect(cosignatureTime(text.replace('7', '8'), line, key)).toBeUndefined();
    expect(cosignatureTime(text, { ...line, signature: later }, key)).toBeUndefined();
    expect(
      cosignatureTime(text, { ...line, signature: line.signature.subarray(1) }, key),
    ).toBeUndefined();
    const other = cosignerKey('witness.example/w1', generateKeyPairSync('ed25519').privateKey);
    expect(cosignatureTime(text, line, other)).toBeUndefined();
  });

  test('without a time is none, and cannot be made', () => {
    expect(() => cosign(text, 0, key, privateKey)).toThrow(RangeError);
    const timeless = Buffer.concat([Buffer.alloc(8), line.signature.subarray(8)]);
    expect(cosignatureTime(text, { ...line, signature: timeless }, key)).toBeUndefined();
  });

  test('is found by name and hash; the newest counts, a broken one spoils', () => {
    const newer = cosign(text, 1_700_000_100, key, privateKey);
    expect(findCosignature(noteOf(), key)).toBe('absent');
    expect(findCosignature(noteOf(newer, line), key)).toEqual({ seconds: 1_700_000_100 });
    expect(findCosignature(noteOf({ ...line, name: 'other' }), key)).toBe('absent');
    const broken = { ...line, signature: Buffer.alloc(72, 1) };
    expect(findCosignature(noteOf(newer, broken), key)).toBe('broken');
  });
});

describe('a cosigner key', () => {
  test('reads back from its text', () => {
    const read = parseCosignerKey(`${key.text}\n`);
    expect([read.name, read.hash, read.text]).toEqual([key.name, key.hash, key.text]);
    expect(read.key?.equals(createPublicKey(privateKey))).toBe(true);
  });

  test('of ML-DSA-44 is known, and its cosignatures count as absent', () => {
    const material = Buffer.concat([Buffer.of(6), Buffer.alloc(1312, 5)]);
    const hash = keyHash('w', material);
    const read = parseCosignerKey(`w+${hash}+${material.toString('base64')}`);
    expect(read.key).toBeUndefined();
    const ofIt = { name: 'w', hash, signature: Buffer.alloc(8 + 2420, 1) };
    expect(findCosignature(noteOf(ofIt), read)).toBe('absent');
  });

  test('that was mistyped, is of a log, or is no key is refused', () => {
    const [name = '', hash = '', ...rest] = key.text.split('+');
    const ofLog = Buffer.concat([Buffer.of(1), Buffer.alloc(32, 3)]);
    const bad = [
      '',
      'name',
      `${name}+${hash}`,
      `${name}x+${hash}+${rest.join('+')}`,
      `${name}+00000000+${rest.join('+')}`,
      `${name}+${hash}+${rest.join('+').slice(1)}`,
      `${name}+${keyHash(name, ofLog)}+${ofLog.toString('base64')}`,
      `two words+${hash}+${rest.join('+')}`,
    ];
    for (const text of bad) {
      expect(() => parseCosignerKey(text), text).toThrow(
        expect.objectContaining({ code: 'bad_key' }),
      );
    }
  });
});
