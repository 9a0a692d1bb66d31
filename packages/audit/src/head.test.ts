import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emptyHead, formatHead, type Head, parseHead } from './head.js';
import { naiveLeaves } from './testing/naive-tree.js';
import { Frontier } from './tree.js';

function headOf(size: number): Head {
  const frontier = new Frontier();
  for (const leaf of naiveLeaves(size)) frontier.append(leaf.toString('hex'));
  return {
    ...emptyHead('host/gatebook/x'),
    size,
    root: frontier.root(),
    frontier: frontier.toArray(),
    epoch: 3,
    leaf: 'ab'.repeat(32),
    segment: 1,
    before: ['cd'.repeat(32)],
    began: '2026-01-02T00:00:00.000Z',
    tallyLines: 12,
    tallyBytes: 345,
    bytes: 6_789,
    state: {
      retention: { delete: 'oldest', retention_days: 30 },
      content: 'keep',
      aheadMs: 5,
      pruned: { seq: 4, leaf: 'ef'.repeat(32) },
    },
    wallMs: 1_767_323_045_678,
    boot: { id: 'a boot', ms: 1_000.5 },
    offset: 500,
    timestamp: '2026-01-02T03:04:05.678Z',
    checkpoint: 'a note\n',
  };
}

test('reads back at every size', () => {
  fc.assert(
    fc.property(fc.nat(300), (size) => {
      const head = headOf(size);
      expect(parseHead(formatHead(head))).toEqual(head);
      expect(formatHead(head).indexOf('\n')).toBe(formatHead(head).length - 1);
    }),
  );
});

describe('damaged', () => {
  const text = formatHead(headOf(11));
  test.each([
    ['not JSON', '{'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '5'],
    ['empty', ''],
    ['another size', text.replace('"size":11', '"size":12')],
    ['a negative size', text.replace('"size":11', '"size":-1')],
    ['half a size', text.replace('"size":11', '"size":0.5')],
    ['a size beyond 2^53-1', text.replace('"size":11', '"size":1e300')],
    ['another root', text.replace(/"root":"../, '"root":"AA')],
    ['no root', text.replace(/"root":"[^"]*",/, '')],
    ['another frontier', text.replace(/"frontier":\["../, '"frontier":["AA')],
    ['no frontier', text.replace(/"frontier":\[[^\]]*\]/, '"frontier":null')],
    ['a frontier of objects', text.replace(/"frontier":\[[^\]]*\]/, '"frontier":[{},{},{}]')],
    ['no origin', text.replace('"origin"', '"horizon"')],
    ['an epoch as text', text.replace('"epoch":3', '"epoch":"3"')],
    ['no checkpoint', text.replace('"checkpoint"', '"check"')],
  ])('%s', (_, damaged) => {
    expect(() => parseHead(damaged)).toThrow(expect.objectContaining({ code: 'log_damaged' }));
  });
});
