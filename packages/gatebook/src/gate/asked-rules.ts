import { createHash } from 'node:crypto';
import type { PinnedDecision } from './pin.js';

/** So many are told apart; of more, the rest is one that stands for exactly these. */
export const askedRulesMax = 24;
const ruleCharsMax = 200;

/** What makes a question of a call, as far as a person is shown it and a yes is bound to it. */
export interface AskedRules {
  /** The one that counts most. */
  readonly rule: string;
  /** All, sorted, `rule` among them. */
  readonly rules: readonly string[];
}

/** The rules of a decision, bounded so that two sets of them are equal only where the whole ones are. */
export function askedRules({ rule, binds, asks }: PinnedDecision): AskedRules {
  const first = short(binds === undefined ? rule : `${rule} ${binds}`);
  const rules = [...new Set([first, ...asks.map(short)])].sort();
  if (rules.length <= askedRulesMax) return { rule: first, rules };
  // The first one is always shown.
  const others = rules.filter((each) => each !== first);
  const rest = others.splice(askedRulesMax - 2);
  const more = `and ${rest.length} more, SHA-256 ${digest(JSON.stringify(rest))}`;
  return { rule: first, rules: [first, ...others, more].sort() };
}

/** The rules besides the one that counts most. */
export function otherRules({ rule, rules }: AskedRules): string[] {
  return rules.filter((each) => each !== rule);
}

function short(rule: string): string {
  const text = rule.toWellFormed();
  if (text.length <= ruleCharsMax) return text;
  const shown = text.slice(0, ruleCharsMax - 80).toWellFormed();
  return `${shown}… SHA-256 ${digest(text)}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
