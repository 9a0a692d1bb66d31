import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ManualClock } from '../manual-clock.js';
import { checkEvictionOptions, EvictionGuard, type EvictionOptions } from './eviction-guard.js';
import { Link } from './link.js';
import { Script } from './script.js';
import { infoScript } from './server-info.js';

const other = new Script('return 1');
const memory = (most: number, policy: string): unknown => [
  '1',
  `# Memory\r\nused_memory:1\r\nmaxmemory:${most}\r\nmaxmemory_human:1M\r\nmaxmemory_policy:${policy}\r\n`,
];
const good = memory(100, 'noeviction');
const evicting = memory(100, 'allkeys-lru');

/** A guard, and a server that answers INFO with `says.info`; nothing while that is undefined. */
function setUp(options: EvictionOptions = {}, info: unknown = good) {
  const clock = new ManualClock();
  const says = { info, hasForgotten: false };
  const asked: string[] = [];
  const waiting: ((raw: unknown) => void)[] = [];
  const answer = (sha: string): Promise<unknown> => {
    if (sha !== infoScript.sha) return Promise.resolve(1);
    if (says.info instanceof Error) return Promise.reject(says.info);
    if (says.info === undefined) return new Promise((reply) => waiting.push(reply));
    return Promise.resolve(says.info);
  };
  const client = {
    run: (sha: string, keys: string[], values: string[]): Promise<unknown> => {
      if (sha === infoScript.sha) asked.push(`${keys.join()} ${values.join()}`);
      if (!says.hasForgotten) return answer(sha);
      return Promise.reject(new Error('NOSCRIPT No matching script'));
    },
    teach: (): Promise<unknown> => Promise.resolve(1),
  };
  const link = new Link({ client, clock, timeoutMs: 250, maxInFlight: 1_000 });
  const guard = new EvictionGuard(link, clock, options);
  const mayDecide = async (): Promise<boolean> => {
    const may = guard.mayDecide('key', clock.now());
    await turn();
    return may;
  };
  return { clock, says, asked, waiting, link, guard, mayDecide };
}

test('the first decision waits until it is known that nothing is evicted, and those with it', async () => {
  const { says, asked, waiting, guard } = setUp();
  says.info = undefined;
  const decided: number[] = [];
  const all = [0, 1, 2].map((who) => guard.admit('key').then(() => decided.push(who)));
  await turn();
  expect(decided).toEqual([]);
  expect(asked).toEqual(['key memory']);
  waiting[0]!(good);
  await Promise.all(all);
  expect(decided).toEqual([0, 1, 2]);
});

const evictingPolicies = [
  ...['allkeys-lru', 'allkeys-lfu', 'allkeys-random'],
  ...['volatile-lru', 'volatile-lfu', 'volatile-random', 'volatile-ttl', 'of-a-later-version'],
];
test.each(evictingPolicies)('nothing is decided by a server that evicts: %s', async (policy) => {
  const { guard, mayDecide } = setUp({}, memory(104_857_600, policy));
  for (let call = 0; call < 2; call++)
    await expect(guard.admit('key')).rejects.toMatchObject({
      code: 'bad_store',
      message: expect.stringMatching(
        new RegExp(
          `maxmemory is 104857600 and its maxmemory-policy ${policy}; set maxmemory-policy to noeviction, or pass evictions: 'accept'`,
        ),
      ),
    });
  expect(await mayDecide()).toBe(false);
});

test.each([
  ['that does not evict', good],
  ['without a bound', memory(0, 'allkeys-lru')],
  ['without a bound, and without a policy', ['1', 'maxmemory:0\r\n']],
])('it is decided by a server %s', async (_, info) => {
  const { guard, mayDecide } = setUp({}, info);
  await guard.admit('key');
  expect(await mayDecide()).toBe(true);
});

test.each<[unknown, string]>([
  [
    ['0', "ERR The user executing the script can't run this command or subcommand"],
    `INFO memory failed with "ERR The user executing the script can't run`,
  ],
  [['0', 'ERR Unknown Redis command called from script'], 'failed with "ERR Unknown Redis command'],
  [['1', 'used_memory:1\r\n'], 'does not name its maxmemory and maxmemory_policy'],
  [['1', 'maxmemory:5\r\n'], 'does not name its maxmemory and maxmemory_policy'],
  [['1', 'maxmemory:much\r\nmaxmemory_policy:noeviction\r\n'], 'does not name its maxmemory'],
  [7, 'the answer is none of INFO'],
])('nothing is decided where nobody can tell: %j', async (info, why) => {
  const { guard } = setUp({}, info);
  await expect(guard.admit('key')).rejects.toMatchObject({
    code: 'bad_store',
    message: expect.stringContaining(why),
  });
  await expect(guard.admit('key')).rejects.toThrow(/\+info in its ACL.*evictions: 'accept'/);
});

test('it is looked at each minute while it is used, and nobody waits for that', async () => {
  const { clock, says, asked, waiting, guard, mayDecide } = setUp();
  await guard.admit('key');
  clock.advance(59_000);
  expect(await mayDecide()).toBe(true);
  expect(asked).toHaveLength(1);
  clock.advance(1_000);
  says.info = undefined;
  for (let call = 0; call < 3; call++) expect(await mayDecide()).toBe(true);
  expect(asked).toHaveLength(2);
  waiting[0]!(evicting);
  await turn();
  expect(await mayDecide()).toBe(false);
  await expect(guard.admit('key')).rejects.toMatchObject({ code: 'bad_store' });
  clock.advance(250);
  expect(clock.timers).toBe(0);
});

test('a server that was put right is used again soon', async () => {
  const { clock, says, asked, guard, mayDecide } = setUp({}, evicting);
  await expect(guard.admit('key')).rejects.toThrow();
  says.info = good;
  expect(await mayDecide()).toBe(false);
  expect(asked).toHaveLength(1);
  clock.advance(1_000);
  expect(await mayDecide()).toBe(false);
  expect(await mayDecide()).toBe(true);
  await guard.admit('key');
  expect(asked).toHaveLength(2);
});

test('a store that is away at first is a store that failed, and is asked again', async () => {
  const { says, asked, guard } = setUp({}, new Error('connection refused'));
  for (let call = 1; call <= 3; call++) {
    await expect(guard.admit('key')).rejects.toMatchObject({ name: 'StoreFailure' });
    expect(asked).toHaveLength(call);
  }
  says.info = good;
  await guard.admit('key');
});

test('the first decision waits for no longer than the time-out', async () => {
  const { clock, says, guard } = setUp();
  says.info = undefined;
  const first = guard.admit('key');
  clock.advance(250);
  await expect(first).rejects.toThrow('has not answered within 250 ms');
});

test('what is known holds while the store is away, and is looked at again when it is back', async () => {
  const { clock, says, asked, link, guard, mayDecide } = setUp();
  await guard.admit('key');
  clock.advance(60_000);
  says.info = new Error('connection lost');
  expect(await mayDecide()).toBe(true);
  expect(await mayDecide()).toBe(true);
  expect(asked).toHaveLength(2);
  says.info = evicting;
  // Something else is answered, so it is there again.
  await link.run(other, [], []);
  expect(await mayDecide()).toBe(true);
  expect(asked).toHaveLength(3);
  expect(await mayDecide()).toBe(false);
});

test('a server that has forgotten a script is looked at, since it may be another', async () => {
  const { says, asked, link, guard, mayDecide } = setUp();
  await guard.admit('key');
  await link.run(other, [], []);
  expect(await mayDecide()).toBe(true);
  expect(asked).toHaveLength(1);
  says.hasForgotten = true;
  await link.run(other, [], []);
  says.hasForgotten = false;
  says.info = evicting;
  expect(await mayDecide()).toBe(true);
  expect(asked).toHaveLength(2);
  expect(await mayDecide()).toBe(false);
});

test('where evictions are accepted nothing is asked, and it is decided at once', async () => {
  const { clock, asked, guard, mayDecide } = setUp({ evictions: 'accept' }, evicting);
  expect(await mayDecide()).toBe(true);
  clock.advance(600_000);
  await guard.admit('key');
  expect(asked).toEqual([]);
});

test('what was evicted since it was looked at before is told, where it is accepted', async () => {
  const told: number[] = [];
  const { clock, says, asked, link, mayDecide } = setUp(
    { evictions: 'accept', evictionCheckMs: 100, onEvicted: (keys) => told.push(keys) },
    ['1', 'evicted_keys:7\r\n'],
  );
  const look = async (info: unknown): Promise<void> => {
    says.info = info;
    clock.advance(100);
    expect(await mayDecide()).toBe(true);
  };
  await look(['1', 'evicted_keys:7\r\n']);
  await look(['1', 'evicted_keys:7\r\n']);
  expect(told).toEqual([]);
  await look(['1', 'evicted_keys:9\r\n']);
  expect(told).toEqual([9]);
  await look(['0', 'NOPERM']);
  await look(['1', 'evicted_keys:11\r\n']);
  await look(['1', 'evicted_keys:12\r\n']);
  expect(told).toEqual([9, 12]);
  expect(new Set(asked)).toEqual(new Set(['key stats']));
  // Another server has evicted others.
  await look(new Error('connection lost'));
  await link.run(other, [], []);
  await look(['1', 'evicted_keys:500\r\n']);
  await look(['1', 'evicted_keys:501\r\n']);
  expect(told).toEqual([9, 12, 501]);
});

test.each<[EvictionOptions, string]>([
  [{ evictions: 'deny' as never }, 'evictions is "deny"; there is refuse, accept'],
  [{ evictionCheckMs: 0 }, 'evictionCheckMs is 0'],
  [{ evictionCheckMs: Number.NaN }, 'evictionCheckMs is NaN'],
])('an option that cannot work is named: %j', (options, message) => {
  expect(() => checkEvictionOptions(options)).toThrow(
    expect.objectContaining({ code: 'bad_option', message: expect.stringContaining(message) }),
  );
});
