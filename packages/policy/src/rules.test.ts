import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ruleDescriptions, ruleManual } from './rules.js';
import { rateShell } from './shell/rate.js';
import { readCorpus } from './testing/corpus.js';

test('docs/policy.md lists the rules of the tables (else: npm run build && node scripts/policy-manual.js)', () => {
  const page = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8');
  expect(page).toContain(ruleManual());
});

test('every rule that the corpora meet is described', () => {
  const known = new Set(ruleDescriptions().map(({ id }) => id));
  const met = [...readCorpus('benign'), ...readCorpus('dangerous')].flatMap((line) =>
    rateShell(line).findings.map(({ rule }) => rule),
  );
  expect([...new Set(met)].filter((rule) => !known.has(rule))).toEqual([]);
});

test('every rule for programs and shells is met by a dangerous line', () => {
  const met = new Set(
    readCorpus('dangerous').flatMap((line) => rateShell(line).findings.map(({ rule }) => rule)),
  );
  const unmet = ruleDescriptions()
    .filter(({ area, id }) => (area === 'program' || area === 'shell') && !met.has(id))
    .map(({ id }) => id)
    // What needs a text of many thousand characters has tests of its own.
    .filter((id) => !id.startsWith('shell-too-'));
  expect(unmet).toEqual([]);
});
