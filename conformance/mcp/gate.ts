import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, gatebookBin, linesOf, repository, segmentBytes } from '../cli/gatebook.js';

export function fixture(name: string): string {
  return join(repository, 'conformance', 'mcp', 'fixtures', name);
}

function modelContextProtocol(...path: string[]): string {
  return join(repository, 'node_modules', '@modelcontextprotocol', ...path);
}

export const everything = modelContextProtocol('server-everything', 'dist', 'index.js');
export const filesystem = modelContextProtocol('server-filesystem', 'dist', 'index.js');
export const inspector = modelContextProtocol('inspector', 'cli', 'build', 'cli.js');

/** A record as it is stored; the members these tests look at. */
export interface CallRecord {
  readonly seq: number;
  readonly timestamp: string;
  readonly event_type: string;
  readonly session_id?: string;
  readonly call_id?: string;
  readonly source?: string;
  readonly actor?: {
    readonly agent?: string;
    readonly user_id?: string;
    readonly channel?: string;
  };
  readonly action?: {
    readonly phase?: string;
    readonly tool?: string;
    readonly command?: unknown;
    readonly resource?: string;
    readonly arguments?: unknown;
    readonly continues?: string;
  };
  readonly result?: {
    readonly success?: boolean;
    readonly status?: string;
    readonly exit_code?: number;
    readonly signal?: string;
    readonly duration_ms?: number;
    readonly error?: unknown;
    readonly output?: unknown;
  };
  readonly security?: {
    readonly rate_limit_remaining?: number;
    readonly rule?: string;
    readonly not_enforced?: readonly string[];
  };
  readonly details?: Readonly<Record<string, unknown>>;
}

/** All records but the log's own, and that a server's tools were seen for the first time. */
export async function callRecords(bench: Bench): Promise<CallRecord[]> {
  return (await gateRecords(bench)).filter(({ event_type: type }) => type !== 'gate.tools_pinned');
}

/** All records but the log's own, as far as they are written. */
export async function gateRecords(bench: Bench): Promise<CallRecord[]> {
  const lines = linesOf((await segmentBytes(bench.log)).toString('utf8'));
  const records = lines.map((line) => JSON.parse(line) as CallRecord);
  return records.filter((record) => !record.event_type.startsWith('log.'));
}

/** The records of calls as `intent add`, `outcome add ok`; for looking at their order. */
export function briefly(records: readonly CallRecord[]): string[] {
  return records.map(({ event_type, action, result }) =>
    [action?.phase ?? event_type, action?.tool ?? action?.resource, result?.status]
      .filter((word) => word !== undefined)
      .join(' '),
  );
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** A running `gatebook mcp`, spoken to in raw lines. */
export interface Gate {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** Writes bytes as they are, or a message with its newline. */
  send(what: Buffer | string | object): void;
  /** All bytes of its stdout so far. */
  output(): Buffer;
  stderr(): string;
  /** The lines of its stdout so far, parsed; what is no JSON is left out. */
  messages(): readonly Message[];
  /** Waits for the answer with this id. */
  answer(id: number | string | null): Promise<Message>;
  /** Waits for a question to the user of the client. */
  question(): Promise<Message>;
}

export interface Message {
  readonly id?: number | string | null;
  readonly method?: string;
  readonly result?: {
    readonly isError?: boolean;
    readonly content?: readonly { readonly text: string }[];
  };
  readonly error?: { readonly code: number; readonly message: string };
}

export interface GateOptions {
  /** Options of `gatebook mcp`. */
  readonly options?: readonly string[];
  /** What the gate is started by: words before `node gatebook.js`. */
  readonly before?: readonly string[];
}

export function gateWords(server: readonly string[], options: readonly string[] = []): string[] {
  return [process.execPath, gatebookBin, 'mcp', ...options, '--', ...server];
}

export function startGate(bench: Bench, server: readonly string[], more: GateOptions = {}): Gate {
  const [file, ...args] = [...(more.before ?? []), ...gateWords(server, more.options)];
  const env = { ...process.env, GATEBOOK_LOG: bench.log, GATEBOOK_KEYS: bench.keys };
  const child = spawn(file!, args, { env });
  child.stdin.on('error', () => {});
  const stdout: Buffer[] = [];
  const parts: Buffer[] = [];
  const messages: Message[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end));
      messages.push(...parsed(Buffer.concat(parts.splice(0)).toString()));
      from = end + 1;
    }
    if (from < chunk.length) parts.push(chunk.subarray(from));
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  const output = (): Buffer => Buffer.concat(stdout);
  return {
    child,
    ended,
    output,
    messages: () => messages,
    stderr: () => stderr,
    send: (what) => {
      const raw = Buffer.isBuffer(what) || typeof what === 'string';
      child.stdin.write(raw ? what : `${JSON.stringify({ jsonrpc: '2.0', ...what })}\n`);
    },
    answer: async (id) =>
      await firstOf(messages, (message) => message.id === id && message.method === undefined),
    question: async () => await firstOf(messages, ({ method }) => method === 'elicitation/create'),
  };
}

async function firstOf(
  messages: readonly Message[],
  where: (message: Message) => boolean,
): Promise<Message> {
  let found: Message | undefined;
  await until(() => {
    found = messages.find(where);
    return found !== undefined;
  });
  return found!;
}

function parsed(line: string): Message[] {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? [value] : [];
  } catch {
    return [];
  }
}

/** Waits until something holds, at most 90 s. Looking may start a program, so no more time goes on it than on waiting. */
export async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 90_000;
  while (performance.now() < deadline) {
    const since = performance.now();
    if (await what()) return;
    await sleep(Math.max(20, performance.now() - since));
  }
  throw new Error('it did not come to that within 90 s');
}

export const initialize = {
  id: 'init',
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'raw-client', version: '1' },
  },
};

export function toolCall(id: number | string, name: string, args: object = {}): object {
  return { id, method: 'tools/call', params: { name, arguments: args } };
}

/** Whether a process with this id still runs (a zombie does not). */
export async function isRunning(pid: number): Promise<boolean> {
  const { readFile } = await import('node:fs/promises');
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return !/^\d+ \(.*\) [ZX] /s.test(stat);
  } catch {
    return false;
  }
}
