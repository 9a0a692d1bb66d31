import { expect, test } from 'vitest';
import { parseQuestion } from './question.js';

test('a question of another process is read member by member', () => {
  const prune = { ask: 'prune', dryRun: true, confirmClock: false };
  const erase = { ask: 'erase', user: 'alice', despiteHold: false };
  const tried = { ...prune, policy: { delete: 'oldest', max_records: 5 } };
  for (const question of [{ ask: 'checkpoint' }, { ask: 'rotate' }, prune, tried, erase]) {
    expect(parseQuestion({ ...question, more: 1 })).toEqual(question);
  }
});

test('what another process may not ask is no question', () => {
  const request = { action: 'retire' };
  for (const said of [
    {},
    { ask: 'close' },
    { ask: 'keys', request },
    { ask: 'prune', dryRun: true },
    { ask: 'prune', dryRun: 'yes', confirmClock: false },
    { ask: 'prune', dryRun: false, confirmClock: false, policy: { delete: 'oldest' } },
    { ask: 'prune', dryRun: true, confirmClock: false, policy: { delete: 'newest' } },
    { ask: 'prune', dryRun: true, confirmClock: false, policy: 'never' },
    { ask: 'erase', user: 7, despiteHold: false },
    { ask: 'erase', user: 'alice' },
  ]) {
    expect(parseQuestion(said), JSON.stringify(said)).toBeUndefined();
  }
});
