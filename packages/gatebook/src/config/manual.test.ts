import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { manual } from './manual.js';

it('docs/config.md says what the schema says (else: npm run build && node scripts/config-manual.js)', () => {
  const page = new URL('../../../../docs/config.md', import.meta.url);
  expect(readFileSync(page, 'utf8')).toBe(manual());
});
