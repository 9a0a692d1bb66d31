import { expect, test } from 'vitest';
import { askedRules, askedRulesMax, otherRules } from './asked-rules.js';
import { type PinnedDecision, type ToolPin, withPin } from './pin.js';

function decision(asks: readonly string[], rule = asks[0] ?? 'risk'): PinnedDecision {
  return { decision: 'ask', risk: 'high', rule, reasons: [], asks: [...asks] };
}

const pin: ToolPin = {
  does: 'ask',
  rule: 'pin.changed',
  reason: 'it has changed',
  hash: 'f'.repeat(64),
  accept: () => Promise.resolve(),
};

test('all rules are kept, whatever a pin says besides', () => {
  const asked = askedRules(withPin(pin, decision(['z', 'a']))!);
  expect(asked.rule).toBe(`pin.changed ${pin.hash}`);
  expect(asked.rules).toEqual(['a', `pin.changed ${pin.hash}`, 'z']);
  expect(otherRules(asked)).toEqual(['a', 'z']);
  expect(askedRules(withPin(pin, undefined)!).rules).toEqual([`pin.changed ${pin.hash}`]);
});

test('many or long rules are bounded, and sets that differ stay different', () => {
  const many = Array.from({ length: 40 }, (_, at) => `rule-${10 + at}`);
  const asked = askedRules(decision(many, 'rule-49'));
  expect(asked.rules).toHaveLength(askedRulesMax);
  expect(asked.rules).toContain('rule-49');
  expect(askedRules(decision([...many].reverse(), 'rule-49'))).toEqual(asked);
  const other = askedRules(decision([...many.slice(0, 38), 'other', 'rule-49'], 'rule-49'));
  expect(other.rules).not.toEqual(asked.rules);
  const long = 'exec:'.padEnd(900, 'x');
  const [a, b] = askedRules(decision([`${long}a`, `${long}b`])).rules;
  expect(a).not.toBe(b);
  expect(a!.length).toBeLessThanOrEqual(200);
});
