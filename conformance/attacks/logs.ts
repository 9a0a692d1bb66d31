import { once } from 'node:events';
import { appendFile, cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { type Ran, run, start } from '../cli/gatebook.js';
import type { Brought } from './attack.js';
import { type Folder, file, readFolder, segmentPaths } from './folder.js';
import { parseCheckpoint } from './notes.js';
import { produce } from './produce.js';
import { readRecords, type StoredRecord } from './records.js';

/** A log folder as it stood at some moment. */
export interface StoredLog {
  readonly folder: Folder;
  readonly records: readonly StoredRecord[];
  /** Size of its newest checkpoint; what is behind it is pending. */
  readonly covered: number;
}

/** The logs that are attacked, and what verifiers hold. */
export interface Logs {
  /** Several sessions, one torn write, closed cleanly. */
  readonly closed: StoredLog;
  /** The same before its last session: the writer was killed, records are pending. */
  readonly open: StoredLog;
  /** The same after its first session. */
  readonly early: StoredLog;
  /** Went on from `early` with copies of the same keys and other records. */
  readonly fork: StoredLog;
  /** Has other keys. */
  readonly other: StoredLog;
  /** Copies of the keys folder as `open` and as `closed` left it. */
  readonly keysOfOpen: string;
  readonly keysOfClosed: string;
  readonly publicKey: string;
  readonly hmacKey: string;
  readonly otherPublicKey: string;
  readonly otherHmacKey: string;
  /** Paths of checkpoints kept elsewhere. `pending` and `last` cover part of the last epoch of `open` and of `closed`. */
  readonly held: Readonly<Record<HeldName, string>>;
  readonly heldSizes: Readonly<Record<HeldName, number>>;
}

export type HeldName = (typeof heldNames)[number];

export function asPublic(logs: Logs, more: Partial<Brought> = {}): Brought {
  return { keys: [logs.publicKey], ...more };
}

export function asAuditor(logs: Logs, more: Partial<Brought> = {}): Brought {
  return { keys: [logs.publicKey], hmacKey: logs.hmacKey, ...more };
}

/** Makes all of them below `dir`, with the programs a user has. */
export async function makeLogs(dir: string): Promise<Logs> {
  const main = await openPlace(dir, 'main');
  await main.produce(130);
  const early = await main.snapshot('early');
  await mkdir(join(dir, 'fork'));
  await cp(main.log, join(dir, 'fork', 'log'), { recursive: true });
  await cp(main.keys, join(dir, 'fork', 'keys'), { recursive: true });
  await killedAfter(main, 30);
  await appendFile(join(main.log, segmentPaths(await readFolder(main.log)).at(-1)!), '{"seq":1');
  await main.record([large, ...events(30)]);
  await main.produce(130);
  await main.snapshot('middle');
  const pending = await checkpointWithin(main, 'kill');
  const open = await main.snapshot('pending', pending);
  await cp(main.keys, join(dir, 'keys-of-open'), { recursive: true });
  // An opening after a kill may end the epoch, so this one begins with what recovery leaves.
  await main.record(events(3));
  await main.snapshot('last', await checkpointWithin(main, 'close'));
  const closed = await main.snapshot('closed');
  const fork = placeAt(dir, 'fork');
  await fork.produce(90);
  const other = await openPlace(dir, 'other');
  await other.record(events(40));
  const snapshots = { fork: await fork.snapshot('fork'), other: await other.snapshot('other') };
  return {
    closed,
    open,
    early,
    ...snapshots,
    keysOfOpen: join(dir, 'keys-of-open'),
    keysOfClosed: main.keys,
    publicKey: join(main.keys, 'public-key'),
    hmacKey: join(dir, 'main', 'auditor-key'),
    otherPublicKey: join(other.keys, 'public-key'),
    otherHmacKey: join(dir, 'other', 'auditor-key'),
    held: await eachHeld(async (name) => heldPath(dir, name)),
    heldSizes: await eachHeld(
      async (name) => parseCheckpoint(await readFile(heldPath(dir, name))).size,
    ),
  };
}

const heldNames = ['early', 'middle', 'pending', 'last', 'closed', 'fork', 'other'] as const;

function heldPath(dir: string, name: HeldName): string {
  return join(dir, `held-${name}`);
}

async function eachHeld<T>(value: (name: HeldName) => Promise<T>): Promise<Record<HeldName, T>> {
  const entries = heldNames.map(async (name) => [name, await value(name)] as const);
  return Object.fromEntries(await Promise.all(entries)) as Record<HeldName, T>;
}

interface PlaceOfLog {
  readonly log: string;
  readonly keys: string;
  record(lines: readonly object[]): Promise<void>;
  produce(count: number): Promise<void>;
  /** Reads the folder and keeps its checkpoint, or the one given, as held evidence. */
  snapshot(name: HeldName, checkpoint?: Buffer): Promise<StoredLog>;
}

function placeAt(dir: string, name: string): PlaceOfLog {
  const log = join(dir, name, 'log');
  const keys = join(dir, name, 'keys');
  return {
    log,
    keys,
    record: async (lines) => {
      const input = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      must(await run(['record', '--log', log, '--keys', keys], { input }));
    },
    produce: async (count) => {
      const segments = ['--segment-bytes', '12000', '--epoch-ms', '30', '--pause-ms', '9'];
      must(await produce(['--log', log, '--keys', keys, '--events', `${count}`, ...segments]));
    },
    snapshot: async (heldName, checkpoint) => {
      const folder = await readFolder(log);
      const newest = file(folder, 'checkpoint');
      await writeFile(heldPath(dir, heldName), checkpoint ?? newest);
      return { folder, records: readRecords(folder), covered: parseCheckpoint(newest).size };
    },
  };
}

function must(ran: Ran): void {
  if (ran.code !== 0) throw new Error(`exit ${ran.code}: ${ran.stdout}${ran.stderr}`);
}

/** Sets a log up and moves the initial key to the auditor. */
async function openPlace(dir: string, name: string): Promise<PlaceOfLog> {
  const place = placeAt(dir, name);
  await mkdir(join(dir, name));
  must(await run(['init', '--log', place.log, '--keys', place.keys]));
  await rename(join(place.keys, 'initial-hmac-key'), join(dir, name, 'auditor-key'));
  return place;
}

const large = {
  event_type: 'tool_execution',
  action: { tool: 'write_file', arguments: { content: 'wide '.repeat(20_000) } },
  result: { success: true, error: 'none' },
};

function events(count: number): object[] {
  return Array.from({ length: count }, (_, i) => ({
    event_type: i % 2 === 0 ? 'tool_execution' : 'policy_violation',
    actor: { channel: 'chat', user_id: `u${i}`, username: 'Åsa', agent: 'assistant', ip: '::1' },
    session_id: 's1',
    call_id: `c${i}`,
    source: 'everything',
    action: {
      phase: 'outcome',
      tool: 'echo',
      command: 'echo hello',
      resource: 'stdout',
      arguments: { message: `hello ${i}` },
      risk_level: 'high',
      approved: false,
      allowed: true,
      continues: 'c0',
    },
    result: {
      success: false,
      status: 'error',
      exit_code: 1,
      signal: 'SIGTERM',
      duration_ms: 3.25,
      error: 'no such file',
      output: { text: `hello ${i}` },
    },
    security: {
      policy_violation: true,
      rule: 'no-echo',
      reason: 'it echoes',
      rate_limit_remaining: 5,
      sandbox: 'none',
      not_enforced: ['network', 'files'],
    },
    details: { i, nested: { list: [1, { deep: 'yes' }], none: null } },
    trace: { trace_id: 'ab'.repeat(16), span_id: 'cd'.repeat(8) },
  }));
}

/** A running `gatebook record` whose acknowledgements are counted. */
function recorder(place: PlaceOfLog) {
  const child = start(['record', '--log', place.log, '--keys', place.keys]);
  child.stderr.resume();
  const acknowledgements = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    send: async (lines: readonly object[]): Promise<void> => {
      child.stdin.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      for (const _ of lines) {
        const { value } = await acknowledgements.next();
        if (!String(value).startsWith('{"ok":true')) throw new Error(`refused: ${String(value)}`);
      }
    },
    close: async (): Promise<void> => {
      child.stdin.end();
      await once(child, 'close');
    },
    kill: async (): Promise<void> => {
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

async function killedAfter(place: PlaceOfLog, count: number): Promise<void> {
  const { send, kill } = recorder(place);
  await send(events(count));
  await kill();
}

/** Records 20 events, waits for a checkpoint of them, records 20 more in the same epoch, and ends; returns that checkpoint. */
async function checkpointWithin(place: PlaceOfLog, end: 'kill' | 'close'): Promise<Buffer> {
  const session = recorder(place);
  const path = join(place.log, 'checkpoint');
  const before = parseCheckpoint(await readFile(path)).size;
  await session.send(events(20));
  for (let tries = 0; tries < 200; tries++) {
    const checkpoint = await readFile(path);
    if (parseCheckpoint(checkpoint).size > before + 20) {
      await session.send(events(20));
      await session[end]();
      return checkpoint;
    }
    await pause(25);
  }
  throw new Error('no checkpoint was made within five seconds');
}
