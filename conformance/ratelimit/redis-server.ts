import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findRedis } from './redis-binary.js';
import { ServerClock } from './server-clock.js';

export interface RedisServerOptions {
  /** Whether what was written outlives a kill; not by default. */
  readonly persistence?: boolean | undefined;
  /** Follows this server, and has all it had when it is started. */
  readonly replicaOf?: { readonly host: string; readonly port: number } | undefined;
  readonly cluster?: boolean | undefined;
  /** Whether its wall clock can be set; its monotonic one stays the machine's. */
  readonly wallClock?: boolean | undefined;
  /** How much memory it may use, and what it does when that is not enough; without bound by default. */
  readonly memory?: { readonly most: string; readonly policy: string } | undefined;
}

const startMostMs = 20_000;
const tries = 5;

/** A Redis server of a test's own: on a loopback port, in a folder that is gone when it is stopped. */
export class RedisServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #options: RedisServerOptions;
  readonly #dir: string;
  readonly #clock: ServerClock | undefined;
  #child: ChildProcess | undefined;
  #said = '';

  private constructor(
    port: number,
    dir: string,
    clock: ServerClock | undefined,
    options: RedisServerOptions,
  ) {
    this.port = port;
    this.#dir = dir;
    this.#clock = clock;
    this.#options = options;
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const dir = await mkdtemp(join(tmpdir(), 'gatebook-redis-'));
      // Debian's file is a server only by that name.
      await symlink(findRedis(), join(dir, 'redis-server'));
      const clock = options.wallClock === true ? await ServerClock.open(dir) : undefined;
      const server = new RedisServer(await freePort(), dir, clock, options);
      try {
        await server.restart();
        return server;
      } catch (error) {
        await server.stop();
        // Somebody else may have taken the port meanwhile.
        if (attempt === tries || !server.#said.includes('in use')) throw error;
      }
    }
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('the Redis server does not run');
    return this.#child.pid;
  }

  /** Starts it again at the same address, after it was killed. */
  async restart(): Promise<void> {
    if (this.#child !== undefined) throw new Error('the Redis server runs already');
    this.#said = '';
    // It dies with the process that started it, however that ends.
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', join(this.#dir, 'redis-server'), ...this.#arguments()],
      { cwd: this.#dir, env: { ...process.env, ...this.#clock?.env }, stdio: 'pipe' },
    );
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-20_000);
      });
    }
    child.on('error', () => {});
    child.on('exit', () => {
      if (this.#child === child) this.#child = undefined;
    });
    await this.#ready(child);
  }

  /** As a power loss: it has no time to do anything. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stands still: connections stay, nothing is answered, until `resume`. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  /** Ends it and removes all it had; it may have been killed before. */
  async stop(): Promise<void> {
    await this.#end('SIGKILL');
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** One command over a connection of its own, so that it tells nothing of a client's state. */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const client = this.#connect();
    try {
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  /** The fields of `INFO section`. */
  async info(section: string): Promise<ReadonlyMap<string, string>> {
    return fieldsOf(String(await this.command('info', section)));
  }

  /** How often each command was called, by its name in lower case, since it was started. */
  async calls(name: string): Promise<number> {
    const stats = (await this.info('commandstats')).get(`cmdstat_${name}`);
    return Number(/calls=(\d+)/.exec(stats ?? '')?.[1] ?? 0);
  }

  /** Its wall clock, in ms since 1970. */
  async time(): Promise<number> {
    const [seconds, micros] = (await this.command('time')) as [string, string];
    return Number(seconds) * 1_000 + Number(micros) / 1_000;
  }

  /** Sets its wall clock this far ahead of the machine's, or behind it; needs the option `wallClock`. */
  async setClock(aheadSeconds: number): Promise<void> {
    if (this.#clock === undefined) throw new Error('start the server with wallClock: true');
    await this.#clock.set(aheadSeconds);
  }

  /** Its wall clock stands still at this time, in ms since 1970, until it is set again; needs the option `wallClock`. */
  async stopClock(atMs: number): Promise<void> {
    if (this.#clock === undefined) throw new Error('start the server with wallClock: true');
    await this.#clock.standAt(atMs);
  }

  /** Makes a replica a server of its own. */
  async promote(): Promise<void> {
    await this.command('replicaof', 'no', 'one');
  }

  /** Waits until a replica has all that its primary had. */
  async synced(): Promise<void> {
    await eventually(
      async () => (await this.info('replication')).get('master_link_status') === 'up',
      () => `the replica does not follow: ${this.#said}`,
    );
  }

  #arguments(): string[] {
    const { persistence, replicaOf, cluster, memory } = this.#options;
    return [
      ...['--port', String(this.port), '--bind', this.host, '--dir', this.#dir],
      ...['--save', '', '--daemonize', 'no'],
      ...['--appendonly', persistence ? 'yes' : 'no', '--appendfsync', 'always'],
      ...['--enable-debug-command', 'local', '--repl-diskless-sync-delay', '0'],
      ...(replicaOf === undefined ? [] : ['--replicaof', `${replicaOf.host} ${replicaOf.port}`]),
      ...(cluster ? ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'] : []),
      ...(memory ? ['--maxmemory', memory.most, '--maxmemory-policy', memory.policy] : []),
    ];
  }

  /** By the pid in its answer, since another server may have been faster at this port. */
  async #ready(child: ChildProcess): Promise<void> {
    await eventually(
      async () => {
        if (this.#child !== child) throw new Error(`the Redis server ended: ${this.#said}`);
        const info = await this.info('server').catch(() => undefined);
        return info?.get('process_id') === String(child.pid);
      },
      () => `the Redis server does not answer: ${this.#said}`,
    );
    if (this.#options.replicaOf !== undefined) await this.synced();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.pid === undefined) return;
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (!ended) {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    }
    this.#child = undefined;
  }

  #connect(): Redis {
    const client = new Redis({
      host: this.host,
      port: this.port,
      lazyConnect: true,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    client.on('error', () => {});
    return client;
  }
}

/** Three or so servers, each with its share of the slots, that know each other. */
export async function joinCluster(nodes: readonly RedisServer[]): Promise<void> {
  const slots = 16_384;
  const [first] = nodes;
  for (const [place, node] of nodes.entries()) {
    const from = Math.floor((slots * place) / nodes.length);
    const to = Math.floor((slots * (place + 1)) / nodes.length) - 1;
    await node.command('cluster', 'addslotsrange', from, to);
    await node.command('cluster', 'set-config-epoch', place + 1);
    if (first !== undefined && node !== first)
      await node.command('cluster', 'meet', first.host, first.port);
  }
  for (const node of nodes) {
    await eventually(
      async () => {
        const info = fieldsOf(String(await node.command('cluster', 'info')));
        return (
          info.get('cluster_state') === 'ok' &&
          info.get('cluster_known_nodes') === String(nodes.length)
        );
      },
      () => 'the nodes do not become a cluster',
    );
  }
}

export async function eventually(
  holds: () => Promise<boolean>,
  otherwise: () => string,
  mostMs = startMostMs,
): Promise<void> {
  const end = performance.now() + mostMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(otherwise());
    await sleep(20);
  }
}

function fieldsOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\r\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
    }),
  );
}

/** Below the ports that connections get, so that none takes it while the server is down; the cluster's bus is 10,000 above. */
async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 12_000 + Math.floor(Math.random() * 10_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
  throw new Error('there is no free port between 12000 and 22000');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
