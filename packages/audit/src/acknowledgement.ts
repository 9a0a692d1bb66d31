/** What a content store needs to open a commitment later; never written to the log. */
export interface Opening {
  /** The commitment's `ref`. */
  readonly ref: string;
  /** Which member the content stood in, as a path in the record: `action.arguments`. */
  readonly member: string;
  /** 32 bytes. */
  readonly salt: Uint8Array;
  readonly content: string;
}

/** Given once the record is on disk (`durability: "sync"`) or written (`"interval"`). */
export interface Acknowledgement {
  readonly seq: number;
  readonly eventId: string;
  readonly timestamp: string;
  /** For members that were replaced by commitments because the line would have been too long. */
  readonly openings: readonly Opening[];
}
