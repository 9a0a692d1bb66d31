import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  endsEpoch,
  firstPrevHash,
  hasherRoomBytes,
  hashMemberBytes,
  RecordHasher,
} from './chain.js';

function hashOf(key: Buffer, body: Buffer): string {
  const buf = Buffer.concat([Buffer.alloc(hasherRoomBytes, 0xee), body, Buffer.from('behind')]);
  const before = Buffer.from(buf);
  const end = hasherRoomBytes + body.length;
  const hash = new RecordHasher(key).hash(buf, hasherRoomBytes, end);
  expect(buf).toEqual(before);
  return hash;
}

test('the keyed hash is HMAC-SHA256: RFC 4231, test cases 1 and 2', () => {
  expect(hashOf(Buffer.alloc(20, 0x0b), Buffer.from('Hi There'))).toBe(
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  );
  expect(hashOf(Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?'))).toBe(
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

test('the keyed hash is what createHmac gives, for any key and any bytes', () => {
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
  fc.assert(
    fc.property(bytes(64), bytes(2_000), (key, body) => {
      const expected = createHmac('sha256', key).update(body).digest('hex');
      expect(hashOf(Buffer.from(key), Buffer.from(body))).toBe(expected);
    }),
  );
});

test('a key longer than a block is refused, for it would have to be hashed first', () => {
  expect(() => new RecordHasher(Buffer.alloc(65))).toThrow(RangeError);
});

test('the hash member takes the last 75 bytes of a line', () => {
  expect(`,"hash":"${'0'.repeat(64)}"}`).toHaveLength(hashMemberBytes);
  expect(firstPrevHash).toBe('0'.repeat(64));
});

test('sealing, closing and an epoch’s own record end an epoch, nothing else does', () => {
  for (const type of ['log.epoch', 'log.sealed', 'log.closed']) expect(endsEpoch(type)).toBe(true);
  for (const type of ['log.opened', 'log.recovered', 'log.clock_jump', 'log.', 'epoch', '']) {
    expect(endsEpoch(type)).toBe(false);
  }
});
