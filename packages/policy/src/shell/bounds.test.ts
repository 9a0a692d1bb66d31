import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rateShell } from './rate.js';

const cases: [string, string, string][] = [
  ['length', `echo ${'x'.repeat(300_000)}`, 'shell-too-long'],
  ['commands', 'true;'.repeat(1500), 'shell-too-many'],
  ['words', `rm ${'a '.repeat(3000)}`, 'shell-too-many'],
  ['code', `python3 -c '${'x=1;'.repeat(6000)}'`, 'code-unread'],
  ['nesting', `${'('.repeat(150)}true${')'.repeat(150)}`, 'shell-too-deep'],
  ['substitutions', `${'echo $('.repeat(150)}true${')'.repeat(150)}`, 'shell-too-deep'],
  ['far too much nesting', `${'('.repeat(5000)}true${')'.repeat(5000)}`, 'shell-unparsed'],
  ['wrappers', `${'sudo '.repeat(30)}ls`, 'shell-too-deep'],
];
test.each(cases)('beyond the bound of %s a line is high', (_name, line, rule) => {
  const rating = rateShell(line);
  expect(rating.findings.map((finding) => finding.rule)).toContain(rule);
  expect(rating.risk).toBe('high');
});

test('a statement is read to its end, however long', () => {
  const sql = `select ${"'x', ".repeat(1500)} 1; drop table users; select ${"'x', ".repeat(1500)} 1`;
  expect(rateShell(`psql -c "${sql}"`).rule).toBe('database-harm');
  expect(rateShell(`psql -c "${sql.repeat(2)}"`).risk).toBe('high');
});

test('scripts inside scripts are read to the bound, and no further', () => {
  let line = 'rm -rf ~';
  for (let i = 0; i < 12; i++) line = `sh -c ${JSON.stringify(line)}`;
  expect(rateShell(line).risk).not.toBe('low');
  expect(rateShell(line).findings.length).toBeGreaterThan(0);
});

test('no text makes the rating throw or take long', () => {
  const token = fc.constantFrom(
    'rm',
    ' -rf ',
    '/',
    '~',
    '$(',
    ')',
    '`',
    "'",
    '"',
    '<<EOF\n',
    '\nEOF\n',
    '|',
    '&',
    ';',
    '{',
    '}',
    '((',
    '))',
    '[[',
    ']]',
    '${',
    'sh -c ',
    'eval ',
    '\\',
    '\n',
    '*',
    '?',
    '=',
    'git -c ',
    'sed s/a/',
    'awk ',
    'find . -exec ',
    '{} \\;',
    '\u{1F600}',
    '\0',
  );
  const text = fc.oneof(
    fc.array(token, { maxLength: 40 }).map((all) => all.join('')),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, (line) => {
      const start = performance.now();
      expect(['low', 'medium', 'high', 'critical']).toContain(rateShell(line).risk);
      expect(performance.now() - start).toBeLessThan(2000);
    }),
    { numRuns: process.env['GATEBOOK_CONFORMANCE'] === 'full' ? 20_000 : 1000 },
  );
});

test('long words do not make the rules slow', () => {
  const long = [
    `sed ${'s/a/b/;'.repeat(20_000)} x`,
    `python3 -c "${'import os;'.repeat(15_000)}"`,
    `git ${'-c a=b '.repeat(20_000)}log`,
    `curl ${'https://a.b/?'.repeat(10_000)}`,
    `chmod ${'u+'.repeat(50_000)} x`,
    `tar ${'-I '.repeat(50_000)}`,
    `node -e "${'require('.repeat(20_000)}"`,
    `perl -e "${'s/'.repeat(60_000)}"`,
    `awk '${'print > '.repeat(20_000)}'`,
    `rm ${'../'.repeat(60_000)}`,
    `cat ${'/proc/self/root'.repeat(12_000)}`,
    `find ${'/a -name '.repeat(20_000)}`,
    `psql -c "${'delete from '.repeat(15_000)}"`,
    `echo ${'{a,b}'.repeat(30_000)}`,
    `${'A=b '.repeat(60_000)} ls`,
    `x=${'$('.repeat(90)}${'a'.repeat(100_000)}${')'.repeat(90)}`,
  ];
  for (const line of long) {
    const start = performance.now();
    rateShell(line);
    expect(performance.now() - start, line.slice(0, 20)).toBeLessThan(5000);
  }
});
