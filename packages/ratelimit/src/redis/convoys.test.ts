import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ManualClock } from '../manual-clock.js';
import type { LimitRequest } from '../request.js';
import { Asker } from './ask.js';
import { convoyMost } from './convoy.js';
import { Convoys } from './convoys.js';
import { Link } from './link.js';
import { scriptBudget } from './plan.js';
import { type RedisLimit, Term } from './term.js';

interface Call {
  readonly keys: readonly string[];
  readonly values: readonly string[];
  readonly reply: (raw: unknown) => void;
  readonly fail: (error: Error) => void;
}

const rate = { count: 10, perMs: 1_000 };
const limits: readonly RedisLimit[] = [
  { name: 'all', rate },
  { name: 'user', scope: ['actor'], rate },
];

/** A store of which nobody knows when it answers, and what it was asked. */
function setUp(ofLimits = limits) {
  const clock = new ManualClock();
  const calls: Call[] = [];
  const run = (_: string, keys: readonly string[], values: readonly string[]) =>
    new Promise<unknown>((reply, fail) => calls.push({ keys, values, reply, fail }));
  const client = { run, teach: run };
  const link = new Link({ client, clock, timeoutMs: 250, maxInFlight: 1_000 });
  const late: [record: string, place: number, raw: unknown][] = [];
  let made = 0;
  const convoys = new Convoys(link, {
    bornKey: 'born',
    newKey: () => `call-${made++}`,
    onLate: (_, ...rest) => late.push(rest),
  });
  const terms = ofLimits.map((limit) => new Term(limit, 'p'));
  const asker = new Asker(terms, scriptBudget());
  const heard: string[] = [];
  /** Notes what is heard of it, by the name of who asks. */
  const ask = (actor: string, more: LimitRequest & { id?: string } = {}): void => {
    const { id, ...request } = more;
    const [idKey, digest] = id === undefined ? ['own', ''] : [id, `digest of ${id}`];
    convoys.ask(asker.askOf({ ...request, actor }), idKey, digest).then(
      (raw) => heard.push(`${actor} ${JSON.stringify(raw)}`),
      (error: Error) => heard.push(`${actor} ${error.message}`),
    );
  };
  return { clock, calls, link, late, convoys, ask, heard };
}

/** Who is asked for, in order. */
function actorsOf({ keys }: Call): string[] {
  return keys.flatMap((key) => /:user#[^:]*:(.*)$/.exec(key)?.[1] ?? []);
}

test('who finds nothing under way goes at once, and those of one turn go together, in their order', async () => {
  const { calls, ask, heard } = setUp();
  ask('a');
  expect(calls.map(actorsOf)).toEqual([['a']]);
  ask('b');
  ask('c');
  ask('d');
  expect(calls).toHaveLength(1);
  await turn();
  expect(calls.map(actorsOf)).toEqual([['a'], ['b', 'c', 'd']]);
  expect(calls.map(({ values }) => values)).toEqual([
    ['1', '1'],
    ['3', '1'],
  ]);
  calls[1]!.reply([[1, 7, 0, 0], [0, 7, 1, 1], [9]]);
  calls[0]!.reply([[1, 6, 0, 0]]);
  await turn();
  expect(heard).toEqual(['b [1,7,0,0]', 'c [0,7,1,1]', 'd [9]', 'a [1,6,0,0]']);
  ask('e');
  expect(actorsOf(calls[2]!)).toEqual(['e']);
});

test('what all share is sent once, and ids of callers behind all', async () => {
  const { calls, ask } = setUp();
  ask('a');
  ask('b');
  ask('c', { id: 'mine' });
  await turn();
  const { keys, values } = calls[1]!;
  expect(keys.map((key) => key.replace(/#.*:/, '#:'))).toEqual([
    ...['born', 'call-1', '{p}:all#:', '{p}:user#:b', '{p}:user#:c', 'mine'],
  ]);
  expect(values).toEqual(['2', '1', '', 'digest of mine']);
});

test('nothing overtakes: requests by another script go behind those before', async () => {
  const { calls, ask, convoys } = setUp();
  ask('a');
  ask('b');
  ask('c', { cost: 2 });
  ask('d', { cost: 3 });
  ask('e');
  await turn();
  expect(calls.map(actorsOf)).toEqual([['a'], ['b'], ['c', 'd'], ['e']]);
  expect(calls[2]!.values).toHaveLength(2 + 4);
  ask('f');
  convoys.flush();
  expect(actorsOf(calls[4]!)).toEqual(['f']);
});

test('a call carries no more than 32 requests', async () => {
  const { calls, ask } = setUp();
  const actors = Array.from({ length: 200 }, (_, i) => `user-${i}`);
  for (const actor of actors) ask(actor);
  await turn();
  expect(calls.flatMap(actorsOf)).toEqual(actors);
  const most = Math.max(...calls.map((call) => actorsOf(call).length));
  expect(most).toBe(convoyMost.requests);
  expect(most).toBe(32);
});

test('a call carries no more than 128 keys of buckets', async () => {
  const many = Array.from({ length: 12 }, (_, i) => ({ ...limits[1]!, name: `user-${i}` }));
  const { calls, ask } = setUp([limits[0]!, ...many]);
  for (let i = 0; i < 100; i++) ask(`user-${i}`);
  await turn();
  const buckets = calls.map(({ keys }) => keys.length - 2);
  expect(Math.max(...buckets)).toBeLessThanOrEqual(convoyMost.keys);
  expect(Math.max(...buckets)).toBe(1 + 10 * 12);
});

test('where the script fails each is asked for alone, and known by its place', async () => {
  const { calls, ask, heard, late } = setUp();
  ask('a');
  ask('b', { cost: 2 });
  ask('c', { cost: 3, id: 'mine' });
  ask('d', { cost: 4 });
  await turn();
  calls[1]!.fail(new Error('ERR user_script:12: data string too short'));
  await turn();
  expect(calls.slice(2).map(actorsOf)).toEqual([['b'], ['c'], ['d']]);
  expect(new Set(calls.slice(1).map(({ keys }) => keys[1]))).toEqual(new Set(['call-1']));
  expect(calls.slice(2).map(({ values }) => values.slice(0, 2))).toEqual([
    ['1', '1'],
    ['1', '2'],
    ['1', '3'],
  ]);
  expect(calls[3]!.keys.at(-1)).toBe('mine');
  calls[2]!.reply([[1, 7, 0, 0]]);
  calls[3]!.reply([[1, 8, 0, 0]]);
  calls[4]!.fail(new Error('ERR user_script:12: data string too short'));
  await turn();
  expect(heard[0]).toBe('b [1,7,0,0]');
  expect(heard[1]).toBe('c [1,8,0,0]');
  expect(heard[2]).toMatch(/^d the store failed: ERR/);
  expect(late).toEqual([['call-1', 3, undefined]]);
});

test('where the store may not write nobody is asked for again', async () => {
  const { calls, ask, heard, late } = setUp();
  ask('a');
  ask('b');
  ask('c', { id: 'mine' });
  ask('d');
  await turn();
  calls[1]!.fail(new Error('READONLY You can’t write against a read only replica.'));
  await turn();
  expect(calls).toHaveLength(2);
  expect(heard.map((line) => line.slice(0, 18))).toEqual([
    ...['b the store failed', 'c the store failed', 'd the store failed'],
  ]);
  // Who gave an id asks again with it.
  expect(late).toEqual([
    ['call-1', 1, undefined],
    ['call-1', 3, undefined],
  ]);
});

test('each is late by itself, and what is answered then is told of each', async () => {
  const { calls, ask, heard, late, clock } = setUp();
  ask('a');
  clock.advance(100);
  ask('b');
  clock.advance(100);
  ask('c');
  await turn();
  expect(calls).toHaveLength(2);
  clock.advance(160);
  await turn();
  expect(heard).toEqual([
    'a the store has not answered within 250 ms',
    'b the store has not answered within 250 ms',
  ]);
  calls[1]!.reply([
    [1, 7, 1, 1],
    [1, 7, 2, 1],
  ]);
  await turn();
  expect(heard[2]).toBe('c [1,7,2,1]');
  expect(late).toEqual([['call-1', 1, [1, 7, 1, 1]]]);
  calls[0]!.fail(new Error('the connection is closed'));
  await turn();
  expect(late[1]).toEqual(['call-0', 1, undefined]);
});

test('what is not sent when it is closed is not sent any more', async () => {
  const { calls, ask, heard, convoys, link } = setUp();
  ask('a');
  ask('b');
  convoys.close();
  link.close();
  await turn();
  expect(calls).toHaveLength(1);
  expect(heard).toHaveLength(2);
});
