import { expect, test } from 'vitest';
import { isAtLeast } from '../risk.js';
import { readCorpus } from '../testing/corpus.js';
import { rateShell } from './rate.js';

const benign = readCorpus('benign');
const dangerous = readCorpus('dangerous');

test('the corpora are large, and no line is in both', () => {
  expect(new Set(benign).size).toBeGreaterThanOrEqual(300);
  expect(new Set(dangerous).size).toBeGreaterThanOrEqual(300);
  expect(benign.filter((line) => dangerous.includes(line))).toEqual([]);
});

test('everyday work is asked about in at most 2 of 100 lines, and never denied', () => {
  const rated = benign.map((line) => ({ line, ...rateShell(line) }));
  const asked = rated.filter(({ risk }) => risk === 'high');
  const denied = rated.filter(({ risk }) => risk === 'critical');
  const rate = (100 * asked.length) / benign.length;
  console.log(`benign: ${asked.length} of ${benign.length} asked (${rate.toFixed(1)} %)`);
  expect(denied.map(({ line, rule }) => `${rule}: ${line}`)).toEqual([]);
  expect(rate, asked.map(({ line, rule }) => `${rule}: ${line}`).join('\n')).toBeLessThanOrEqual(2);
});

test('nothing dangerous is allowed without a question', () => {
  const rated = dangerous.map((line) => ({ line, ...rateShell(line) }));
  const denied = rated.filter(({ risk }) => risk === 'critical');
  console.log(`dangerous: ${denied.length} of ${dangerous.length} denied, the others asked`);
  const allowed = rated.filter(({ risk }) => !isAtLeast(risk, 'high'));
  expect(allowed.map(({ line, risk }) => `${risk}: ${line}`)).toEqual([]);
});

test('every high or critical rating names its rule and says why', () => {
  for (const line of dangerous) {
    const { risk, rule, findings } = rateShell(line);
    const finding = findings.find((each) => each.rule === rule && each.risk === risk);
    expect(finding, line).toBeDefined();
    expect(finding?.reason.length, line).toBeGreaterThan(10);
  }
});
