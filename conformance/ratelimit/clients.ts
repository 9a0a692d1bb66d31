import { Redis } from 'ioredis';
import { createClient } from 'redis';

export const clientKinds = ['ioredis', 'node-redis'] as const;
export type ClientKind = (typeof clientKinds)[number];

export type NodeRedis = ReturnType<typeof makeNodeRedis>;
export type RedisClient = Redis | NodeRedis;

export interface OpenClient {
  readonly client: RedisClient;
  close(): void;
}

/** A client as its own documentation makes one, which reconnects by its own defaults. Its errors are those of the calls. */
export async function openClient(
  kind: ClientKind,
  { host, port }: { host: string; port: number },
): Promise<OpenClient> {
  if (kind === 'ioredis') {
    const client = new Redis({ host, port, lazyConnect: true });
    client.on('error', () => {});
    await client.connect();
    return { client, close: () => client.disconnect() };
  }
  const client = makeNodeRedis(`redis://${host}:${port}`);
  client.on('error', () => {});
  await client.connect();
  return { client, close: () => client.destroy() };
}

function makeNodeRedis(url: string) {
  return createClient({ url });
}

/** One command, whatever the client. */
export async function send(
  client: RedisClient,
  name: string,
  ...args: readonly string[]
): Promise<unknown> {
  if (client instanceof Redis) return await client.call(name, ...args);
  return await client.sendCommand([name, ...args]);
}
