import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasherRoomBytes } from './chain.js';
import { EpochKeys, formatHmacKey, nextEpochKey, parseHmacKey } from './epoch-keys.js';
import { audit, openDirect } from './testing/direct-writer.js';
import { packageRoot, temporaryLog } from './testing/folders.js';

const origin = 'host.example/gatebook/000102030405060708090a0b0c0d0e0f';

/** What a key makes of one body; two keys make the same only if they are the same. */
function mark(key: Buffer): string {
  return createHmac('sha256', key).update('body').digest('hex');
}

function markAt(keys: EpochKeys, epoch: number): string {
  const buf = Buffer.concat([Buffer.alloc(hasherRoomBytes), Buffer.from('body')]);
  return keys.at(epoch).hash(buf, hasherRoomBytes, buf.length);
}

test('each key is HKDF of the one before, and keys come out the same in any order', () => {
  const first = Buffer.alloc(32, 7);
  const chain: Buffer[] = [first];
  for (let e = 1; e <= 20; e++) chain.push(nextEpochKey(chain[e - 1]!, origin));
  expect(new Set(chain.map((key) => key.toString('hex'))).size).toBe(21);
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 10 }), (epochs) => {
      const keys = new EpochKeys(first, origin);
      for (const epoch of epochs) expect(markAt(keys, epoch)).toBe(mark(chain[epoch]!));
    }),
  );
  expect(nextEpochKey(first, `${origin}0`)).not.toEqual(chain[1]);
});

describe('the key’s line', () => {
  test('reads back, whatever the key is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        expect(parseHmacKey(formatHmacKey(origin, key))).toEqual({ origin, key: Buffer.from(key) });
      }),
    );
  });

  test('a typing error anywhere is found, and no part of the key is repeated', () => {
    const line = formatHmacKey(origin, Buffer.alloc(32, 0xa5)).trim();
    const key = line.slice(line.lastIndexOf('+') + 1);
    for (let at = 0; at < line.length - 1; at++) {
      const wrong = line.slice(0, at) + (line[at] === 'A' ? 'B' : 'A') + line.slice(at + 1);
      try {
        parseHmacKey(wrong);
        expect.unreachable(wrong);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad_key' });
        expect(String(error)).not.toContain(key.slice(0, 12));
      }
    }
  });

  test.each([
    '',
    '+',
    'a+b',
    'a+b+c',
    `${origin}+00000000+`,
    'x'.repeat(100_000),
  ])('refuses %j', (text) => {
    expect(() => parseHmacKey(text)).toThrow(expect.objectContaining({ code: 'bad_key' }));
  });
});

/** The shell commands of docs/format.md §4, as they stand there. */
function shellBlocks(): string[] {
  const page = fs.readFileSync(path.join(packageRoot, '..', '..', 'docs', 'format.md'), 'utf8');
  const chapter = page.slice(page.indexOf('## 4.'), page.indexOf('## 5.'));
  return [...chapter.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]!);
}

test('with openssl and the page’s own commands: a record of epoch 0, the key of epoch 1, a record of epoch 1', async () => {
  const log = temporaryLog();
  openDirect(log).close();
  openDirect(log).close();
  expect(await audit(log)).toMatchObject({ verdict: 'ok', pending: 0 });
  const [check, derive] = shellBlocks() as [string, string];
  const run = (script: string, env: Record<string, string> = {}): string =>
    execFileSync('sh', ['-eu', '-c', script], {
      cwd: log.dir,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', ...env },
    });
  fs.copyFileSync(
    path.join(log.keysDir, 'initial-hmac-key'),
    path.join(log.dir, 'initial-hmac-key'),
  );
  const both = (output: string): (string | undefined)[] => {
    const [computed, stored] = output.trim().split('\n');
    return [computed?.replace(/^.*= /, ''), stored];
  };
  const first = both(run(check));
  expect(first[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(first[0]).toBe(first[1]);

  const key0 = run(`${check.split('\n')[0]}\nprintf %s "$key"`);
  const logOrigin = fs.readFileSync(path.join(log.keysDir, 'origin'), 'utf8').trim();
  const key1 = run(derive, { key: key0, origin: logOrigin }).trim();
  expect(key1).toBe(nextEpochKey(Buffer.from(key0, 'hex'), logOrigin).toString('hex'));

  // The second opening's record, in epoch 1: the same two commands with the other key and line.
  const segment = fs.readdirSync(path.join(log.dir, 'segments'))[0]!;
  const lines = fs.readFileSync(path.join(log.dir, 'segments', segment), 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes(',"epoch":1,'));
  const script = check
    .split('\n')
    .slice(1)
    .join('\n')
    .replace('sed -n 1p', `sed -n ${at + 1}p`);
  const second = both(run(script, { key: key1 }));
  expect(second[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(second[0]).toBe(second[1]);
});
