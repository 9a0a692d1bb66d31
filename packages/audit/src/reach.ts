import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.js';
import { AuditError } from './errors.js';
import { Holder, lockFile, takeLogLock } from './holder.js';
import type { HookMaker } from './hook.js';
import { holderName, readLockNote } from './lock.js';
import type { WriterOptions } from './options.js';
import { type Hello, silenceMs } from './relay-messages.js';
import { checkSocketFolder } from './socket-place.js';

/** Between two attempts; some more or less each time, so that many who wait do not all try at once. */
const pauseMs = 15;

/** Between two attempts to open a log whose keys folder is still in use. */
const keysPauseMs = 200;

/** A writer that runs and is only slow, for it opens a large log or the machine is busy, is given this long to answer. */
const slowMs = 10_000;

/**
 * The writer of the log in `options.dir`: another process that has the lock and answers, or, where the lock is free,
 * this process from now on. Throws `log_unavailable` when a process has the lock and says nothing for 2 s (10 s when it
 * is seen to run), and
 * whatever keeps the log from being opened; with `takingOver`, a keys folder in use is given the same 2 s, for the
 * writer before may just be ending.
 */
export async function reachWriter(
  options: WriterOptions,
  hello: Hello,
  takingOver: boolean,
  hook?: HookMaker,
): Promise<Holder | Connection> {
  const answering = { hook, client: hello.client };
  let lastSign = '';
  // Time is counted in attempts and pauses, so that being stopped ourselves is not taken for the other's silence.
  let quietMs = 0;
  for (;;) {
    const taken = takeLogLock(options);
    if (taken !== undefined) {
      try {
        // Who takes over has others waiting for it.
        return await Holder.start(options, taken, answering, takingOver ? 0 : options.doorDelayMs);
      } catch (error) {
        const busy = error instanceof AuditError && error.code === 'log_locked';
        if (!busy || !takingOver || quietMs >= silenceMs) throw error;
        await sleep(keysPauseMs);
        quietMs += keysPauseMs;
        continue;
      }
    }
    const { sign, pid, socket } = readSign(options.dir);
    if (sign !== lastSign) quietMs = 0;
    lastSign = sign;
    const since = performance.now();
    const reached = await connectTo(socket, options, hello);
    if (reached instanceof Connection) return reached;
    quietMs += reached === 'silent' ? silenceMs : Math.min(performance.now() - since, silenceMs);
    if (quietMs >= (isRunning(pid) ? slowMs : silenceMs)) {
      throw unavailable(options.dir, pid, quietMs);
    }
    const waitMs = pauseMs * (0.5 + Math.random());
    await sleep(waitMs);
    quietMs += waitMs;
  }
}

/** Whether the process is there and neither stopped nor dead; only Linux says so. */
function isRunning(pid: number | undefined): boolean {
  if (pid === undefined || process.platform !== 'linux') return false;
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !'TtZXx'.includes(stat.charAt(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

async function connectTo(
  socket: string | undefined,
  options: WriterOptions,
  hello: Hello,
): Promise<Connection | 'absent' | 'silent'> {
  if (socket === undefined) return 'absent';
  checkSocketFolder(socket, options.dir);
  const reached = await Connection.open(socket, hello);
  if (reached instanceof Connection) checkDurability(reached, options);
  return reached;
}

/** Whoever asked for records on disk is not served by a writer that syncs them later. */
function checkDurability(connection: Connection, options: WriterOptions): void {
  const { durability, pid } = connection.welcome;
  if (options.durability === 'interval' || durability === 'sync') return;
  connection.end();
  throw new AuditError(
    'bad_option',
    `process ${pid} writes this log with durability "interval", which acknowledges before a record is on disk; open it with the same, or let that process use "sync"`,
    { member: 'durability' },
  );
}

/** What the holder of the lock says of itself; a new holder shows as another sign. */
function readSign(dir: string): {
  readonly sign: string;
  readonly pid: number | undefined;
  readonly socket: string | undefined;
} {
  const file = lockFile(dir);
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  const { pid, socket } = readLockNote(file);
  return { sign: `${pid} ${socket} ${stat?.mtimeMs} ${stat?.ino}`, pid, socket };
}

function unavailable(dir: string, pid: number | undefined, quietMs: number): AuditError {
  return new AuditError(
    'log_unavailable',
    `the log ${dir} is open in ${holderName(pid)}, which has not answered for ${Math.round(quietMs / 1000)} s; let it go on or end it`,
  );
}

/** As `reachWriter`, of a writer known by its socket alone; this process never writes that log. */
export async function reachServed(socket: string, hello: Hello): Promise<Connection> {
  for (let quietMs = 0; ; ) {
    const since = performance.now();
    const reached = await Connection.open(socket, hello);
    if (reached instanceof Connection) return reached;
    const spentMs = Math.min(performance.now() - since, silenceMs);
    if (reached === 'silent' || quietMs >= silenceMs) {
      throw new AuditError(
        'log_unavailable',
        `the log's writer has not answered at ${socket} for ${silenceMs / 1000} s; start gatebook serve there, or let it go on`,
      );
    }
    const waitMs = pauseMs * 2;
    await sleep(waitMs);
    quietMs += spentMs + waitMs;
  }
}
