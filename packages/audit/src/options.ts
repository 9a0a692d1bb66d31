import * as path from 'node:path';
import { AuditError } from './errors.js';
import type { HookMaker } from './hook.js';
import type { OutsideOptions } from './outside.js';
import { type Policy, policyFrom, type RetentionOptions } from './retention.js';
import { type Rotate, rotations } from './rotation.js';
import { checkSocketPath } from './socket-place.js';
import { checkToken } from './tokens.js';

/**
 * What becomes of content that does not stand in records: `off`: nothing is kept of it; `keep`: it is kept, sealed under a key
 * for each user; `personal`: so is all that may be personal, and `user_id` is a pseudonym (docs/format.md §12).
 */
export type ContentMode = 'off' | 'keep' | 'personal';
export const contentModes: readonly ContentMode[] = ['off', 'keep', 'personal'];

/** How a log is kept. Only the two folders are required. */
export interface AuditLogOptions extends OutsideOptions {
  /** The log folder; made (0700) when it is not there. */
  readonly dir: string;
  /** The keys folder, outside the log folder; made (0700) when it is not there. */
  readonly keysDir: string;
  /** Who hands the events in, where an event does not say. Default: `pid:<pid>`. */
  readonly emitter?: string | undefined;
  /**
   * `sync` (default): an append resolves when its record is on disk. `interval`: when it is written; a crash of the
   * machine may lose what was acknowledged in the last `syncIntervalMs`, and a failed sync stops the log.
   */
  readonly durability?: 'sync' | 'interval' | undefined;
  /** For `interval`. Default 1,000. */
  readonly syncIntervalMs?: number | undefined;
  /** A checkpoint is made this often while there is news. Default 1,000. */
  readonly checkpointIntervalMs?: number | undefined;
  /** … or after this many records. Default 10,000. */
  readonly checkpointRecordsMax?: number | undefined;
  /** An epoch's key is left this long after its first record at the latest. Default and at most 60,000. */
  readonly epochMs?: number | undefined;
  /** A segment is sealed when it has reached this size. Default 100 MiB, at least 4 KiB. */
  readonly segmentBytesMax?: number | undefined;
  /** A segment is sealed when this period (UTC; weeks begin on Monday) has ended, too. Default `size`: at its size only. */
  readonly rotate?: Rotate | undefined;
  /** Replaces sealed segments by their gzip archives, in the background. Default false. */
  readonly archive?: boolean | undefined;
  /** What may be deleted. Default: the policy that the log has in its book; a new log keeps everything. */
  readonly retention?: RetentionOptions | 'never' | undefined;
  /** Default: as the log has it in its book; a new log keeps none (`off`). */
  readonly content?: ContentMode | undefined;
  /**
   * Other processes are let in this long after an opening, and wait until then; a log that is closed before spares itself the thread for
   * it. Default 0. Who keeps the event loop busy keeps others waiting longer.
   */
  readonly doorDelayMs?: number | undefined;
  /** Makes what answers the messages of all who have the log open (`consult`), while this process writes it. Default: nobody does. */
  readonly hook?: HookMaker | undefined;
  /** Records in flight before `append` refuses with `queue_full`. Default 65,536. */
  readonly queueRecordsMax?: number | undefined;
  /** Bytes in flight before `append` refuses with `queue_full`. Default 64 MiB. */
  readonly queueBytesMax?: number | undefined;
}

/** A log that another user's process writes (`gatebook serve`), reached by its socket alone. */
export interface ServedLogOptions {
  /** The path of the socket. */
  readonly socket: string;
  /** Proves the emitter to a writer that asks for it. */
  readonly token?: string | undefined;
  /** As for a log of one's own; where a token proves the emitter, that one counts. */
  readonly emitter?: string | undefined;
  readonly queueRecordsMax?: number | undefined;
  readonly queueBytesMax?: number | undefined;
}

/** A log that this process writes for others too, for as long as it is open. */
export interface ServeOptions extends AuditLogOptions {
  /** Where others reach it, besides those of this user who find it by itself. Its folder must be there. */
  readonly socket?: string | undefined;
  /** Id of the group whose members may connect to `socket`; needs `tokenFile`. */
  readonly socketGroup?: number | undefined;
  /** Lines `<hex SHA-256 of a token> <emitter>`; only who has such a token may append, as that emitter. */
  readonly tokenFile?: string | undefined;
}

export type WriterOptions = {
  readonly [K in keyof Omit<
    AuditLogOptions,
    'retention' | 'content' | 'hook' | keyof OutsideOptions
  >]-?: NonNullable<AuditLogOptions[K]>;
} & {
  /** As the book will have it; undefined: as it has it. */
  readonly retention: Policy | undefined;
  /** As the book will have it; undefined: as it has it. */
  readonly content: ContentMode | undefined;
};

/** What a log itself needs to know, whoever writes it. */
export type QueueOptions = Pick<WriterOptions, 'emitter' | 'queueRecordsMax' | 'queueBytesMax'>;

/** Which log, and how it is reached. */
export type LogTarget =
  | {
      readonly kind: 'own';
      readonly options: WriterOptions;
      readonly hook: HookMaker | undefined;
    }
  | { readonly kind: 'served'; readonly socket: string; readonly token: string | undefined };

const emitterBytesMax = 1_000;

/** As `normaliseOptions`, of a log that may be reached by its socket alone. */
export function normaliseLogOptions(options: AuditLogOptions | ServedLogOptions): {
  readonly queue: QueueOptions;
  readonly target: LogTarget;
} {
  if (!('socket' in options)) {
    const own = normaliseOptions(options);
    const hook = checkHook(options.hook);
    return { queue: own, target: { kind: 'own', options: own, hook } };
  }
  if ('dir' in options || 'keysDir' in options) {
    throw badOption('socket', 'given alone: the log behind it is another process’s');
  }
  const { socket, token } = options;
  if (typeof socket !== 'string' || socket === '') throw badOption('socket', 'a path');
  const target = {
    kind: 'served',
    socket: checkSocketPath(path.resolve(socket)),
    token: token === undefined ? undefined : checkToken(token),
  } as const;
  return { queue: queueOptions(options), target };
}

function queueOptions(options: Omit<ServedLogOptions, 'socket'>): QueueOptions {
  return {
    emitter: checkEmitter(options.emitter ?? `pid:${process.pid}`),
    queueRecordsMax: number(options, 'queueRecordsMax', 65_536, 1, 2 ** 20),
    queueBytesMax: number(options, 'queueBytesMax', 64 * 1024 * 1024, 65_536, 2 ** 30),
  };
}

/** Fills in the defaults and refuses what cannot work, naming the option. */
export function normaliseOptions(options: AuditLogOptions): WriterOptions {
  const { dir, keysDir } = folders(options);
  const durability = options.durability ?? 'sync';
  if (durability !== 'sync' && durability !== 'interval') {
    throw badOption('durability', 'sync or interval');
  }
  const rotate = options.rotate ?? 'size';
  if (!rotations.includes(rotate)) throw badOption('rotate', rotations.join(', '));
  const { archive = false } = options;
  if (typeof archive !== 'boolean') throw badOption('archive', 'true or false');
  const { content } = options;
  if (content !== undefined && !contentModes.includes(content)) {
    throw badOption('content', contentModes.join(', '));
  }
  return {
    dir,
    keysDir,
    rotate,
    archive,
    content,
    ...queueOptions(options),
    retention: options.retention === undefined ? undefined : policyFrom(options.retention),
    durability,
    syncIntervalMs: number(options, 'syncIntervalMs', 1_000, 1, 60_000),
    checkpointIntervalMs: number(options, 'checkpointIntervalMs', 1_000, 1, 86_400_000),
    checkpointRecordsMax: number(options, 'checkpointRecordsMax', 10_000, 1, 10_000),
    epochMs: number(options, 'epochMs', 60_000, 1, 60_000),
    segmentBytesMax: number(options, 'segmentBytesMax', 100 * 1024 * 1024, 4_096, 2 ** 40),
    doorDelayMs: number(options, 'doorDelayMs', 0, 0, 1_000),
  };
}

export function checkEmitter(emitter: unknown): string {
  const good =
    typeof emitter === 'string' &&
    emitter !== 'log' &&
    emitter.isWellFormed() &&
    Buffer.byteLength(emitter) <= emitterBytesMax;
  if (!good) {
    throw badOption('emitter', `a text of at most ${emitterBytesMax} bytes other than "log"`);
  }
  return emitter;
}

/** Not among the writer's options: a function cannot go to its thread. */
export function checkHook(hook: unknown): HookMaker | undefined {
  if (hook === undefined || typeof hook === 'function') return hook as HookMaker | undefined;
  throw badOption('hook', 'a function that makes the hook');
}

function folders(options: AuditLogOptions): { dir: string; keysDir: string } {
  for (const name of ['dir', 'keysDir'] as const) {
    if (typeof options[name] !== 'string' || options[name] === '')
      throw badOption(name, 'the path of a folder');
  }
  const dir = path.resolve(options.dir);
  const keysDir = path.resolve(options.keysDir);
  if (`${keysDir}/`.startsWith(`${dir}/`)) {
    throw badOption(
      'keysDir',
      'a folder outside the log folder: who copies the log must not copy its keys',
    );
  }
  return { dir, keysDir };
}

function number(
  options: Omit<AuditLogOptions, 'dir' | 'keysDir'>,
  name:
    | 'syncIntervalMs'
    | 'checkpointIntervalMs'
    | 'checkpointRecordsMax'
    | 'epochMs'
    | 'segmentBytesMax'
    | 'doorDelayMs'
    | 'queueRecordsMax'
    | 'queueBytesMax',
  usual: number,
  min: number,
  max: number,
): number {
  const value = options[name] ?? usual;
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw badOption(name, `an integer from ${min} to ${max}`);
  }
  return value;
}

function badOption(name: string, wanted: string): AuditError {
  return new AuditError('bad_option', `${name} must be ${wanted}`, { member: name });
}
