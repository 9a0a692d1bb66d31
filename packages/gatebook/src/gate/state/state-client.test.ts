import { expect, test, vi } from 'vitest';
import type { LimitSpec } from '../../limits.js';
import { GateError } from '../errors.js';
import { consultOf, holderOf } from './fixture-consult.js';
import { GateState } from './gate-state.js';
import { byMessages, type Consult, ownHolder, StateClient } from './state-client.js';

const perMs = 86_400_000;

function limit(count: number, more: Partial<LimitSpec> = {}): LimitSpec[] {
  return [{ name: 'all', rate: { count, perMs }, ...more }];
}

/** How many of so many calls are let through. */
async function passed(client: StateClient, count: number): Promise<number> {
  let through = 0;
  for (let at = 0; at < count; at++) {
    if ((await client.take({ actor: 'ann' })).allowed) through++;
  }
  return through;
}

function clientOf(state: GateState): StateClient {
  return new StateClient(holderOf(state), limit(6));
}

function clientBy(consult: Consult, specs = limit(6)): StateClient {
  return new StateClient(byMessages(consult), specs);
}

test('a state of its own answers a gate as one that is asked by messages does', async () => {
  for (const holder of [ownHolder, holderOf].map((make) => make(new GateState()))) {
    const client = new StateClient(holder, limit(2));
    const { grant } = await client.take({ actor: 'ann' });
    expect(await passed(client, 2)).toBe(1);
    await client.refund(grant!);
    expect(await passed(client, 2)).toBe(1);
    const asked = { limits: 'others', request: {} };
    expect(await holder.ask('peek', asked)).toEqual({ unknown: true });
    const tooMany = Array.from({ length: 300 }, (_, at) => ({ ...limit(1)[0]!, name: `n${at}` }));
    await expect(holder.ask('limits', { specs: tooMany })).rejects.toThrow(GateError);
  }
});

test('limits that change to and fro, or are off between, are as one', async () => {
  const client = clientOf(new GateState());
  expect(await passed(client, 3)).toBe(3);
  client.change(limit(5));
  expect(await passed(client, 1)).toBe(1);
  client.change(limit(6));
  expect(await passed(client, 1)).toBe(1);
  client.change([]);
  await client.take({}, undefined);
  client.change(limit(5, { scope: ['actor'] }));
  expect(await passed(client, 9)).toBe(0);
  client.change(limit(6));
  expect(await passed(client, 9)).toBe(1);
  client.change(limit(5, { scope: ['actor'] }));
  expect(await passed(client, 9)).toBe(0);
});

test('of a change that nobody was told of nothing is left', async () => {
  const client = clientOf(new GateState());
  expect(await passed(client, 5)).toBe(5);
  client.change(limit(50));
  client.change(limit(6));
  expect(await passed(client, 9)).toBe(1);
  client.change(limit(50));
  client.change(limit(5));
  expect(await passed(client, 9)).toBe(0);
});

test('another gate that has the changed limits already has no bucket to spare', async () => {
  const state = new GateState();
  const other = clientOf(state);
  other.change(limit(5));
  expect((await other.peek({})).allowed).toBe(true);
  const client = clientOf(state);
  expect(await passed(client, 6)).toBe(6);
  client.change(limit(5));
  expect(await passed(client, 9)).toBe(0);
  expect(await passed(other, 9)).toBe(0);
});

test('a holder that took over has what was used of the limits that are replaced', async () => {
  const before = new GateState();
  let holder = consultOf(before);
  const client = clientBy((message) => holder(message));
  expect(await passed(client, 6)).toBe(6);
  const after = new GateState();
  after.restore(JSON.parse(JSON.stringify(before.snapshot())) as ReturnType<GateState['snapshot']>);
  holder = consultOf(after);
  client.change(limit(5));
  expect(await passed(client, 9)).toBe(0);
});

test('a change that the holder could not be told of is told with the next call', async () => {
  const state = consultOf(new GateState());
  let away = false;
  const client = clientBy(async (message) => {
    if (away) throw new Error('away');
    return await state(message);
  });
  expect(await passed(client, 6)).toBe(6);
  client.change(limit(5));
  away = true;
  await expect(client.take({})).rejects.toThrow('away');
  away = false;
  expect(await passed(client, 9)).toBe(0);
});

test('who comes while the limits are made known is served after those who came before', async () => {
  for (let turns = 0; turns < 20; turns++) {
    const consult = consultOf(new GateState());
    const served: unknown[] = [];
    const heard: string[] = [];
    const take = async (session: string): Promise<void> => {
      await client.take({ session });
      heard.push(session);
    };
    let later: Promise<unknown> | undefined;
    const client: StateClient = clientBy(async (message) => {
      const { op, request } = JSON.parse(message) as { op: string; request?: { session: string } };
      const answer = await consult(message);
      if (op === 'limits') later ??= after(turns).then(() => take('third'));
      if (op === 'take' && answer.includes('"allowed":true')) served.push(request?.session);
      return answer;
    });
    await Promise.all(['first', 'second'].map(take));
    await later;
    expect(served, `${turns} turns later`).toEqual(['first', 'second', 'third']);
    expect(heard, `${turns} turns later`).toEqual(['first', 'second', 'third']);
  }
});

test('a request whose turn to be told comes late keeps its place in the line', async () => {
  const consult = consultOf(new GateState());
  const served: unknown[] = [];
  const client: StateClient = clientBy(async (message) => {
    const { op, request } = JSON.parse(message) as { op: string; request?: { session: string } };
    const answer = await consult(message);
    // The second hears that the limits are not known when the third waits for them already.
    if (request?.session === 'second' && answer.includes('unknown')) await after(20);
    if (op === 'limits') await after(60);
    if (op === 'take' && answer.includes('"allowed":true')) served.push(request?.session);
    return answer;
  });
  const takes = ['first', 'second'].map((session) => client.take({ session }));
  await after(10);
  await Promise.all([...takes, client.take({ session: 'third' })]);
  expect(served).toEqual(['first', 'second', 'third']);
});

test('what is in flight is spoken of, so that a holder that follows a killed one counts it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    let state = new GateState();
    let consult = consultOf(state);
    let away = false;
    const client = clientBy(
      async (message) => {
        if (away) throw new Error('away');
        return await consult(message);
      },
      [{ name: 'shells', inFlight: 100 }],
    );
    const grants = await Promise.all(
      Array.from({ length: 70 }, async () => (await client.take({ actor: 'ann' })).grant!),
    );
    const inFlight = (): number => state.limits.buckets()[0]?.used[0]?.[1] ?? 0;
    expect(inFlight()).toBe(70);
    client.spent(grants.pop()!);
    state = new GateState({ emptyAtMs: Date.now() - 60_000 });
    consult = consultOf(state);
    away = true;
    await vi.advanceTimersByTimeAsync(10_000);
    away = false;
    await vi.advanceTimersByTimeAsync(10_000);
    await vi.waitFor(() => expect(inFlight()).toBe(69));
    for (const grant of grants) {
      await client.ask('ended', { session: 's', success: true, grant: client.spent(grant) });
    }
    expect([inFlight(), vi.getTimerCount()]).toEqual([0, 0]);
  } finally {
    vi.useRealTimers();
  }
});

test('calls that are in flight when a limit of that is added are spoken of too', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const asked: string[] = [];
    const consult = consultOf(new GateState());
    const client = clientBy(async (message) => {
      asked.push((JSON.parse(message) as { op: string }).op);
      return await consult(message);
    });
    const { grant } = await client.take({});
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).not.toContain('holding');
    client.change([...limit(6), { name: 'shells', inFlight: 1 }]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked.filter((op) => op === 'holding').length).toBeGreaterThanOrEqual(2);
    client.spent(grant!);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('a change that comes while another one is being told goes on from that one', async () => {
  const state = new GateState();
  const consult = consultOf(state);
  const flight = (inFlight: number): LimitSpec[] => [{ name: 'shells', inFlight }];
  let later: (() => void) | undefined;
  const client = clientBy(async (message) => {
    const answer = await consult(message);
    if (message.includes('"replaces"')) later?.();
    return answer;
  }, flight(2));
  expect(await passed(client, 1)).toBe(1);
  later = () => {
    later = undefined;
    client.change(flight(4));
  };
  client.change(flight(3));
  expect(await passed(client, 9)).toBe(3);
  client.change(flight(5));
  expect(await passed(client, 9)).toBe(1);
});

test('a changed limit counts at once what an earlier holder let through', async () => {
  const before = new GateState();
  let consult = consultOf(before);
  const flight = (inFlight: number): LimitSpec[] => [{ name: 'shells', inFlight }];
  const client = clientBy((message) => consult(message), flight(2));
  expect(await passed(client, 1)).toBe(1);
  const after = new GateState();
  after.restore(JSON.parse(JSON.stringify(before.snapshot())) as ReturnType<GateState['snapshot']>);
  consult = consultOf(after);
  client.change(flight(3));
  expect(await passed(client, 9)).toBe(2);
});

test('calls of long names are spoken of in messages that are short enough', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const sizes: number[] = [];
    const consult = consultOf(new GateState());
    const client = clientBy(
      async (message) => {
        if (message.includes('"holding"')) sizes.push(message.length);
        return await consult(message);
      },
      [{ name: 'shells', inFlight: 100 }],
    );
    const long = (letter: string): string => letter.repeat(1_000);
    const request = { actor: long('a'), channel: long('c'), session: long('s'), tool: long('t') };
    for (let call = 0; call < 50; call++) await client.take(request);
    await vi.advanceTimersByTimeAsync(10_000);
    await vi.waitFor(() => expect(sizes.length).toBeGreaterThan(6));
    expect(Math.max(...sizes)).toBeLessThan(30_000);
  } finally {
    vi.useRealTimers();
  }
});

/** So many turns of the queue of promises. */
async function after(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
}
