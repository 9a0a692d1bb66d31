import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { redisIsMissing } from './redis-binary.js';
import { eventually, joinCluster, RedisServer, type RedisServerOptions } from './redis-server.js';

const hourMs = 3_600_000;

describe.skipIf(redisIsMissing())('a Redis server of one’s own', () => {
  const servers: RedisServer[] = [];
  const start = async (options?: RedisServerOptions): Promise<RedisServer> => {
    const server = await RedisServer.start(options);
    servers.push(server);
    return server;
  };
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  test('is empty after it was killed', async () => {
    const server = await start();
    await server.command('set', 'a', '1');
    const { pid, port } = server;
    await server.kill();
    await expect(server.command('get', 'a')).rejects.toThrow();
    await server.restart();
    expect(server.pid).not.toBe(pid);
    expect(server.port).toBe(port);
    expect(await server.command('get', 'a')).toBe(null);
  });

  test('has what was written after it was killed, with persistence', async () => {
    const server = await start({ persistence: true });
    await server.command('set', 'a', '1');
    await server.kill();
    await server.restart();
    expect(await server.command('get', 'a')).toBe('1');
  });

  test('answers nothing while it is frozen, and all of it afterwards', async () => {
    const server = await start();
    const client = new Redis(server.port, server.host);
    await client.ping();
    server.freeze();
    let answered = false;
    const answer = client.ping().then(() => {
      answered = true;
    });
    await sleep(100);
    expect(answered).toBe(false);
    server.resume();
    await answer;
    client.disconnect();
  });

  test('counts the calls of a command', async () => {
    const server = await start();
    for (let call = 0; call < 3; call++) await server.command('set', 'a', '1');
    expect(await server.calls('set')).toBe(3);
    expect(await server.calls('evalsha')).toBe(0);
  });

  test('follows another, and goes on alone when it is promoted', async () => {
    const primary = await start();
    await primary.command('set', 'a', '1');
    const replica = await start({ replicaOf: primary });
    expect(await replica.command('get', 'a')).toBe('1');
    await primary.command('set', 'a', '2');
    await eventually(
      async () => (await replica.command('get', 'a')) === '2',
      () => 'the replica lags',
    );
    await expect(replica.command('set', 'a', '3')).rejects.toThrow(/READONLY/);
    await primary.kill();
    await replica.promote();
    expect(await replica.command('set', 'a', '3')).toBe('OK');
  });

  test('forms a cluster of three, of which each has its slots', async () => {
    const nodes = await Promise.all([1, 2, 3].map(() => start({ cluster: true })));
    await joinCluster(nodes);
    await nodes[0]!.command('set', 'b', '1'); // slot 3300
    await expect(nodes[1]!.command('set', 'b', '1')).rejects.toThrow(/^MOVED 3300 /);
  });

  test('has a wall clock that can be set, and keys that live on by it', async () => {
    const server = await start({ wallClock: true });
    expect(Math.abs((await server.time()) - Date.now())).toBeLessThan(2_000);
    await server.command('set', 'a', '1', 'px', 2 * hourMs);
    await server.setClock(3_600);
    expect(Math.abs((await server.time()) - Date.now() - hourMs)).toBeLessThan(2_000);
    expect(await server.command('get', 'a')).toBe('1');
    await server.setClock(-3_600);
    expect(Math.abs((await server.time()) - Date.now() + hourMs)).toBeLessThan(2_000);
    await server.setClock(3 * 3_600);
    expect(await server.command('get', 'a')).toBe(null);
  });

  test('keeps its monotonic clock while the other is set', async () => {
    const server = await start({ wallClock: true });
    await server.setClock(-3_600);
    // What Redis does by itself, such as to remove a key that nobody asks for, it does by its monotonic clock.
    await server.command('set', 'a', '1', 'px', 1);
    await eventually(
      async () => (await server.command('dbsize')) === 0,
      () => 'its timers stand still',
      2_000,
    );
  });
});
