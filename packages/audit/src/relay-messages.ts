import type { ContentMode } from './options.js';
import type { Answer } from './question.js';
import type { Outcome, PlainError } from './thread-messages.js';

/**
 * What passes between a log's writer and the other processes that append to the log. A client says hello and is welcomed;
 * then it hands records in and is told what became of them, in the order in which it handed them in.
 */

/** Raised with every change that an older side would misread. Both sides must have the same. */
export const protocolVersion = 5;

/**
 * Kinds of frames from a client. The payload is JSON, but for `append`: bodies, each with a newline behind it and its content
 * lines before it; and `consult`: a message for the hook behind its number. Who says `leave` does not come again.
 */
export const toDoor = { hello: 1, append: 2, find: 3, ask: 4, consult: 5, leave: 6 } as const;
/** Kinds of frames to a client; JSON, but for `consulted`: the answer behind the number of the message. */
export const fromDoor = {
  refused: 1,
  alive: 2,
  welcome: 3,
  outcomes: 4,
  found: 5,
  answer: 6,
  goodbye: 7,
  consulted: 8,
  notConsulted: 9,
} as const;

export interface Hello {
  readonly protocol: number;
  /** 128 random bits that name the client when it comes again. */
  readonly client: string;
  readonly pid: number;
  /** Proves an emitter, where the writer asks for that. */
  readonly token?: string;
}

export interface Welcome {
  readonly protocol: number;
  readonly pid: number;
  /** 128 random bits that name this time of writing the log, and so what the hook knows. */
  readonly host: string;
  /** Whether the hook has heard of this client, and not that it has gone. */
  readonly known: boolean;
  readonly origin: string;
  readonly publicKey: string;
  readonly initialKeyFile?: string;
  /** What the log does with content. */
  readonly content: ContentMode;
  readonly durability: 'sync' | 'interval';
  /** Records in the log, or fewer: what this client hands in comes behind them. */
  readonly size: number;
  /** What the token proves, and stands in each record of this client. */
  readonly emitter?: string;
}

/** Asks what became of records handed to a writer that is gone: id, hex SHA-256 of the body, emitter. */
export interface Find {
  /** The last seq the client saw acknowledged; only what follows is searched. */
  readonly after: number;
  readonly entries: readonly FindEntry[];
  /** Whether these are all. */
  readonly last: boolean;
}
export type FindEntry = readonly [id: string, digest: string, emitter: string];

/** A record's seq, or what was found instead. */
export type Found = number | 'absent' | 'conflict' | 'unknown';

export interface FoundMessage {
  readonly found: readonly Found[];
  readonly last: boolean;
}

export interface OutcomesMessage {
  readonly outcomes: readonly Outcome[];
}

/** The payload of an answer. A question's is its members and an `id`, which is the client's own. */
export interface AnswerMessage {
  readonly id: number;
  /** Absent where it is undefined, or where the question failed. */
  readonly answer?: Answer | undefined;
  readonly error?: PlainError;
  /** A list that is too long for a frame goes on in the next answer with this id. */
  readonly more?: boolean;
}

/** Why a message has no answer; without an error it was not considered, and the next writer is to be asked. */
export interface NotConsultedMessage {
  readonly id: number;
  readonly error?: PlainError | undefined;
}

/** Entries of a list in one answer. */
export const listedPerFrame = 1_000;

/** So many entries are looked for at once; a log's queue holds no more by default. */
export const findEntriesMax = 65_536;
export const findEntriesPerFrame = 256;
export const foundPerFrame = 2_048;

/** A writer that owes an answer says at least this often that it is there … */
export const aliveMs = 500;
/** … and counts as unavailable when nothing was heard of it for so long. */
export const silenceMs = 2_000;
