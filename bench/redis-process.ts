import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Redis } from 'ioredis';

const setup = path.join(import.meta.dirname, '../../conformance/ratelimit/setup');
const startMostMs = 10_000;

/** A Redis server for one question, at a socket in a folder of its own, which writes nothing to disk. */
export class RedisProcess {
  readonly socket: string;
  readonly #child: ChildProcess;

  private constructor(socket: string, child: ChildProcess) {
    this.socket = socket;
    this.#child = child;
  }

  /** Installs Redis where it is missing. `folder` must be there, and short enough for the path of a socket. */
  static async start(folder: string): Promise<RedisProcess> {
    execFileSync(setup, { stdio: 'inherit' });
    const program = path.join(folder, 'redis-server');
    // Debian's file is a server only by that name.
    fs.symlinkSync(findProgram(), program);
    const socket = path.join(folder, 'redis.sock');
    const options = ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no'];
    const child = spawn(program, options, { cwd: folder, stdio: 'ignore' });
    const server = new RedisProcess(socket, child);
    const until = performance.now() + startMostMs;
    while (!fs.existsSync(socket)) {
      if (performance.now() > until || child.exitCode !== null) {
        await server.stop();
        throw new Error('the Redis server did not start');
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const client = new Redis(socket);
    await client.ping();
    client.disconnect();
    return server;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode !== null || !this.#child.kill('SIGKILL')) return;
    await ended;
  }
}

function findProgram(): string {
  for (const name of ['redis-server', 'redis-check-rdb']) {
    for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
      const file = path.join(folder, name);
      if (fs.existsSync(file)) return file;
    }
  }
  throw new Error('there is no redis-server on the PATH');
}
