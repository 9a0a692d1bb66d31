import { expect, test } from 'vitest';
import { limitOf, limitsFrom } from './limits.js';

test('a pattern is matched whole, and only * is special', () => {
  const names = ['write_file', 'write_', 'read_file', 'rewrite_file', 'a.b', 'axb', 'aXbXc', 'ab'];
  const matched = (pattern: string): string[] => {
    const limit = limitOf(limitsFrom({ limitTool: [`${pattern}=5/min`] })[0]!);
    return names.filter((tool) => limit!.match!({ tool }));
  };
  expect(matched('write_*')).toEqual(['write_file', 'write_']);
  expect(matched('*_file')).toEqual(['write_file', 'read_file', 'rewrite_file']);
  expect(matched('*')).toEqual(names);
  expect(matched('a.b')).toEqual(['a.b']);
  expect(matched('a*b*c')).toEqual(['aXbXc']);
  expect(matched('ab*b')).toEqual([]);
  expect(limitOf(limitsFrom({ limitTool: ['*=5/min'] })[0]!).match!({})).toBe(false);
});

test('words become limits with names for people', () => {
  const limits = limitsFrom({
    limit: '60/min',
    limitPerUser: '30/min',
    limitTool: ['write_*=5/min', 'a=b=1/day'],
  });
  expect(limits.map(({ name, scope }) => [name, scope])).toEqual([
    ['global', undefined],
    ['per-user', ['actor']],
    ['tool:write_*', ['tool']],
    ['tool:a=b', ['tool']],
  ]);
  expect(() => limitsFrom({ limit: '60' })).toThrow('"60" is no rate');
  expect(() => limitsFrom({ limitTool: ['write_*'] })).toThrow('"write_*" is no rate');
});
