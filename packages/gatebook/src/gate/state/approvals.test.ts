import { expect, test } from 'vitest';
import {
  Approvals,
  patienceMs,
  pendingPerSession,
  type Question,
  type Reach,
  type Verdict,
} from './approvals.js';

let now = 1e12;

const question: Question = {
  session: 's',
  actor: 'ann',
  tool: 'fs/write',
  server: 'command:c0ffee',
  rule: 'ask[0] tool:fs/*',
  rules: ['ask[0] tool:fs/*', 'path-ssh'],
  digest: 'd1',
};
const shown = { risk: 'high', reasons: [], text: '{}', bytes: 2, pid: 1 };
const verdict = (approved: boolean, reach: Reach = 'once'): Verdict => ({
  approved,
  reach,
  by: 'bob',
  how: 'command',
});

function setUp(): Approvals {
  return new Approvals(() => now);
}

/** Asks, and says yes so far. */
function allow(approvals: Approvals, reach: Reach): string {
  const { id } = approvals.ask(question, shown, 'gate');
  approvals.decide(id, verdict(true, reach));
  return id;
}

test('a yes for one call binds session, actor, tool and arguments, and is used up', () => {
  const approvals = setUp();
  const id = allow(approvals, 'once');
  for (const other of [{ session: 't' }, { actor: 'x' }, { tool: 'fs/read' }, { digest: 'd2' }]) {
    expect(approvals.find({ ...question, ...other })).toBeUndefined();
  }
  expect(approvals.find(question)).toMatchObject({ id, by: 'bob', reach: 'once' });
  approvals.use(id);
  expect(approvals.find(question)).toBeUndefined();
  approvals.giveBack(id);
  expect(approvals.find(question)?.id).toBe(id);
});

test('what was revoked, or is too old, is not given back', () => {
  const approvals = setUp();
  const id = allow(approvals, 'once');
  approvals.use(id);
  expect(approvals.revoke()).toBe(0);
  approvals.giveBack(id);
  expect(approvals.find(question)).toBeUndefined();

  const other = allow(approvals, 'once');
  approvals.use(other);
  now += patienceMs + 1;
  approvals.giveBack(other);
  expect(approvals.given()).toEqual([]);
});

test('a yes for the session binds rules and tool, in that session', () => {
  const approvals = setUp();
  const id = allow(approvals, 'session');
  approvals.use(id);
  expect(approvals.find({ ...question, digest: 'd2' })?.id).toBe(id);
  expect(approvals.find({ ...question, session: 't' })).toBeUndefined();
});

test('a wide yes covers what some of its rules ask, and nothing that another rule asks too', () => {
  const approvals = setUp();
  const { id } = approvals.ask(question, shown, 'gate');
  approvals.decide(id, verdict(true, 'session'));
  const asked = (...rules: string[]): Question => ({ ...question, digest: 'd2', rules });
  expect(approvals.find(asked('path-ssh'))?.id).toBe(id);
  expect(approvals.find(asked(...question.rules))?.id).toBe(id);
  // The rule that counts most is the same.
  expect(approvals.find(asked(...question.rules, 'unknown-program'))).toBeUndefined();
  expect(approvals.find(asked('unknown-program'))).toBeUndefined();
  expect(approvals.find(asked())).toBeUndefined();
  // Two yeses do not add up to one.
  const other = approvals.ask(asked('unknown-program'), shown, 'gate');
  approvals.decide(other.id, verdict(true, 'session'));
  expect(approvals.find(asked('path-ssh', 'unknown-program'))).toBeUndefined();
});

test('a yes for one call is for what asked about it then', () => {
  const approvals = setUp();
  allow(approvals, 'once');
  expect(approvals.find({ ...question, rules: ['path-ssh'] })).toBeUndefined();
  expect(approvals.find({ ...question, rules: [...question.rules, 'x'] })).toBeUndefined();
  expect(approvals.find(question)).toBeDefined();
});

test('a yes, however far it reaches, is not for another server that gives itself the same name', () => {
  for (const reach of ['once', 'session', { untilMs: now + 1_000 }] as const) {
    const approvals = setUp();
    allow(approvals, reach);
    expect(approvals.find({ ...question, server: 'command:decaf' })).toBeUndefined();
    expect(approvals.find(question)).toBeDefined();
    const other = approvals.ask({ ...question, server: 'command:decaf' }, shown, 'gate');
    expect(approvals.ask(question, shown, 'gate').id).not.toBe(other.id);
  }
});

test('what is not known by all its rules is not taken over', () => {
  const before = setUp();
  allow(before, 'session');
  const { given, pending } = before.snapshot();
  const { rules: _, ...older } = given[0]!;
  const after = setUp();
  after.restore({ given: [older as (typeof given)[0]], pending });
  expect(after.find(question)).toBeUndefined();
  expect(after.given()).toEqual([]);
});

test('a yes until a time holds in every session of the same actor, and no longer', () => {
  const approvals = setUp();
  const id = allow(approvals, { untilMs: now + 3_600_000 });
  expect(approvals.find({ ...question, session: 't' })?.id).toBe(id);
  expect(approvals.find({ ...question, actor: 'x' })).toBeUndefined();
  now += 3_600_000;
  expect(approvals.find(question)).toBeUndefined();
});

test('a yes that nobody uses, and a question that nobody answers, is gone after ten minutes', () => {
  const approvals = setUp();
  allow(approvals, 'once');
  const { id } = approvals.ask({ ...question, digest: 'd2' }, shown, 'gate');
  now += patienceMs + 1;
  expect(approvals.find(question)).toBeUndefined();
  expect(approvals.state(id)).toEqual({ state: 'gone' });
  expect(approvals.decide(id, verdict(true))).toBeUndefined();
});

test('a no lets nothing pass, and the next call asks again', () => {
  const approvals = setUp();
  const { id } = approvals.ask(question, shown, 'gate');
  approvals.decide(id, verdict(false));
  expect(approvals.state(id)).toMatchObject({ state: 'decided', approval: { approved: false } });
  expect(approvals.find(question)).toBeUndefined();
  expect(approvals.ask(question, shown, 'gate').id).not.toBe(id);
});

test('the same call is one question, and a session has ten at most', () => {
  const approvals = setUp();
  const { id } = approvals.ask(question, shown, 'gate');
  expect(approvals.ask(question, shown, 'gate').id).toBe(id);
  for (let at = 1; at < pendingPerSession; at++) {
    approvals.ask({ ...question, digest: `more ${at}` }, shown, 'gate');
  }
  expect(() => approvals.ask({ ...question, digest: 'one too many' }, shown, 'gate')).toThrow(
    /10 calls of this session wait/,
  );
  expect(approvals.ask({ ...question, session: 't' }, shown, 'gate').session).toBe('t');
  approvals.withdraw(id);
  expect(approvals.ask({ ...question, digest: 'one more' }, shown, 'gate').digest).toBe('one more');
});

test('who waits for news hears it at once', async () => {
  const approvals = setUp();
  const { id } = approvals.ask(question, shown, 'gate');
  const news = approvals.news(id, 60_000);
  approvals.decide(id, verdict(true));
  expect(await news).toMatchObject({ state: 'decided' });
  expect(await approvals.news(approvals.ask(question, shown, 'gate').id, 1)).toEqual({
    state: 'pending',
  });
});

test('the next holder has the questions and approvals of this one', () => {
  const before = setUp();
  const yes = allow(before, 'session');
  const { id } = before.ask({ ...question, digest: 'd2', session: 't' }, shown, 'gate');
  const after = setUp();
  after.restore(JSON.parse(JSON.stringify(before.snapshot())));
  expect(after.find(question)?.id).toBe(yes);
  expect(after.state(id)).toEqual({ state: 'pending' });
});
