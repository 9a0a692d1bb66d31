import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkNote,
  formatCheckpoint,
  noteBytesMax,
  parseCheckpointText,
  parseNote,
  parseVerifierKey,
  signCheckpoint,
  verifierKey,
} from './checkpoint.js';
import { AuditError } from './errors.js';
import { keySigner } from './signer.js';
import { packageRoot } from './testing/folders.js';

interface Opened {
  readonly case: string;
  readonly vkeys: readonly string[];
  readonly note: string;
  readonly opens: boolean;
}
interface Vectors {
  readonly keys: readonly { name: string; vkey: string; pkcs8_der: string }[];
  readonly published: readonly Opened[];
  readonly checkpoints: readonly { origin: string; size: number; root: string; note: string }[];
  readonly open: readonly Opened[];
  readonly bad_vkeys: readonly { case: string; vkey: string }[];
}
const vectors = JSON.parse(
  fs.readFileSync(path.join(packageRoot, 'vectors', 'note.json'), 'utf8'),
) as Vectors;

function opens({ vkeys, note }: Opened): boolean {
  try {
    return checkNote(parseNote(Buffer.from(note)), vkeys.map(parseVerifierKey)) === 'signed';
  } catch (error) {
    if (error instanceof AuditError) return false;
    throw error;
  }
}

const pair = generateKeyPairSync('ed25519');
const origin = 'host.example/gatebook/000102030405060708090a0b0c0d0e0f';
const key = verifierKey(origin, pair.publicKey);
const root = 'ab'.repeat(32);
const note = signCheckpoint({ origin, size: 5, root }, [keySigner(origin, pair.privateKey)]);

describe('known answers', () => {
  test('signed-note’s own example opens with its own key, and with no changed byte', () => {
    const [example] = vectors.published;
    expect(example?.vkeys).toEqual([
      'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    ]);
    expect(opens(example!)).toBe(true);
    expect(parseVerifierKey(example!.vkeys[0]!).name).toBe('example.com/foo');
    const bytes = Buffer.from(example!.note);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      expect(opens({ ...example!, note: changed.toString('latin1') })).toBe(false);
    }
  });

  test.each(vectors.open.map((one) => [one.case, one] as const))('as Go opens it: %s', (_, one) => {
    expect(opens(one)).toBe(one.opens);
  });

  test.each(
    vectors.bad_vkeys.map((one) => [one.case, one.vkey] as const),
  )('a key Go refuses: %s', (_, vkey) => {
    expect(() => parseVerifierKey(vkey)).toThrow(expect.objectContaining({ code: 'bad_key' }));
  });

  test('keys and checkpoints come out byte for byte as Go’s', () => {
    for (const { name, vkey, pkcs8_der } of vectors.keys) {
      const der = Buffer.from(pkcs8_der, 'hex');
      const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      expect(verifierKey(name, privateKey).text).toBe(vkey);
      expect(verifierKey(name, createPublicKey(privateKey)).text).toBe(vkey);
      expect(parseVerifierKey(vkey).text).toBe(vkey);
      for (const checkpoint of vectors.checkpoints) {
        if (checkpoint.origin !== name) continue;
        const hex = Buffer.from(checkpoint.root, 'base64').toString('hex');
        const plain = { origin: name, size: checkpoint.size, root: hex };
        expect(signCheckpoint(plain, [keySigner(plain.origin, privateKey)])).toBe(checkpoint.note);
        expect(parseCheckpointText(parseNote(Buffer.from(checkpoint.note)).text)).toEqual(plain);
      }
    }
  });
});

describe('a signature', () => {
  test('of another key is unknown, of a witness beside ours is ignored, a broken one of ours counts', () => {
    const other = generateKeyPairSync('ed25519');
    const stranger = verifierKey(origin, other.publicKey);
    const parsed = parseNote(Buffer.from(note));
    expect(checkNote(parsed, [key])).toBe('signed');
    expect(checkNote(parsed, [stranger])).toBe('unknown');
    expect(checkNote(parsed, [])).toBe('unknown');
    const witness = signCheckpoint({ origin, size: 5, root }, [keySigner(origin, other.privateKey)])
      .split('\n')
      .at(-2);
    expect(checkNote(parseNote(Buffer.from(`${note}${witness}\n`)), [key])).toBe('signed');
    expect(checkNote(parseNote(Buffer.from(`${note}${witness}\n`)), [key, stranger])).toBe(
      'signed',
    );
    const line = note.split('\n').at(-2)!;
    const broken = Buffer.from(line.split(' ')[2]!, 'base64');
    broken[10]! ^= 1;
    const bad = `— ${origin} ${broken.toString('base64')}`;
    expect(checkNote(parseNote(Buffer.from(note.replace(line, bad))), [key])).toBe('broken');
    expect(checkNote(parseNote(Buffer.from(`${note}${bad}\n`)), [key])).toBe('broken');
  });

  test('covers origin, size and root: none can be changed', () => {
    const text = formatCheckpoint({ origin, size: 5, root });
    for (const changed of [
      { origin: `${origin}0`, size: 5, root },
      { origin, size: 6, root },
      { origin, size: 5, root: 'ac'.repeat(32) },
    ]) {
      const forged = parseNote(Buffer.from(note.replace(text, formatCheckpoint(changed))));
      expect(checkNote(forged, [key])).toBe('broken');
    }
  });
});

describe('not a checkpoint', () => {
  const base64 = Buffer.from(root, 'hex').toString('base64');
  test.each([
    ['empty', ''],
    ['no origin', `\n5\n${base64}\n`],
    ['no size', `${origin}\n\n${base64}\n`],
    ['a leading zero', `${origin}\n05\n${base64}\n`],
    ['a negative size', `${origin}\n-5\n${base64}\n`],
    ['a size beyond 2^53-1', `${origin}\n9007199254740992\n${base64}\n`],
    ['hex digits', `${origin}\n0x5\n${base64}\n`],
    ['a short root', `${origin}\n5\n${base64.slice(4)}\n`],
    ['base64 without padding', `${origin}\n5\n${base64.replace('=', '')}\n`],
    ['base64 with stray bits', `${origin}\n5\n${base64.replace(/.=$/, 't=')}\n`],
    ['URL base64', `${origin}\n5\n${'-'.repeat(43)}=\n`],
    ['an extension line', `${origin}\n5\n${base64}\nmore\n`],
    ['no last newline', `${origin}\n5\n${base64}`],
  ])('%s', (_, text) => {
    expect(() => parseCheckpointText(text)).toThrow(
      expect.objectContaining({ code: 'bad_checkpoint' }),
    );
  });

  test('a note too large, or of anything at all: refused, never thrown at', () => {
    expect(() => parseNote(Buffer.alloc(noteBytesMax + 1, 0x61))).toThrow(AuditError);
    fc.assert(
      fc.property(fc.nat(), fc.uint8Array({ maxLength: 5 }), fc.nat(6), (seed, put, cut) => {
        const bytes = Buffer.from(note);
        const at = seed % bytes.length;
        const changed = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]);
        if (changed.equals(bytes)) return;
        try {
          const parsed = parseNote(changed);
          parseCheckpointText(parsed.text);
          expect(checkNote(parsed, [key])).not.toBe('signed');
        } catch (error) {
          if (!(error instanceof AuditError)) throw error;
        }
      }),
      { numRuns: 1_500 },
    );
  });
});

test('any checkpoint reads back', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (size, bytes) => {
      const checkpoint = { origin, size, root: Buffer.from(bytes).toString('hex') };
      expect(parseCheckpointText(formatCheckpoint(checkpoint))).toEqual(checkpoint);
    }),
  );
});
