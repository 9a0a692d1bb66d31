import { createSecretKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { endsEpoch, firstPrevHash, hashMemberBytes, recordHash } from './chain.js';

test('the keyed hash is HMAC-SHA256: RFC 4231, test cases 1 and 2', () => {
  const hash = (key: Buffer, text: string): string =>
    recordHash(createSecretKey(key), Buffer.from(text));
  expect(hash(Buffer.alloc(20, 0x0b), 'Hi There')).toBe(
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  );
  expect(hash(Buffer.from('Jefe'), 'what do ya want for nothing?')).toBe(
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
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
