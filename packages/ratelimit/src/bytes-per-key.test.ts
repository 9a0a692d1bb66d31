import { execFileSync } from 'node:child_process';
import * as path from 'node:path';
import { expect, test } from 'vitest';

test('a key of 12 characters takes less than 96 bytes, right before and right after a power of two of them', () => {
  const program = path.join(import.meta.dirname, 'testing/bytes-per-key.js');
  const sizes = [100_000, 131_000, 131_200, 200_000, 262_000, 262_200];
  const printed = execFileSync(process.execPath, ['--expose-gc', program, ...sizes.map(String)], {
    encoding: 'utf8',
  });
  const found = printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { size: number; bytesPerKey: number });
  expect(found.map(({ size }) => size)).toEqual(sizes);
  for (const { size, bytesPerKey } of found) {
    expect(bytesPerKey, `${size} keys`).toBeLessThan(96);
    // Whoever counts wrongly counts too little.
    expect(bytesPerKey, `${size} keys`).toBeGreaterThan(20);
  }
});
