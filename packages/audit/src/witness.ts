import * as path from 'node:path';
import {
  checkNote,
  formatNote,
  formatSignatureLine,
  type Note,
  parseVerifierKey,
  type VerifierKey,
} from './checkpoint.js';
import { type Clock, systemClock } from './clock.js';
import { cosign } from './cosignature.js';
import { makeFolder } from './durable.js';
import { reasonOf } from './errors.js';
import { type KernelLock, takeLock } from './lock.js';
import { checkConsistency, emptyRoot } from './tree.js';
import { type AddCheckpoint, parseAddCheckpoint } from './witness-request.js';
import {
  openWitnessKey,
  originHash,
  readSeen,
  type Seen,
  type WitnessKey,
  writeSeen,
} from './witness-state.js';

export interface WitnessOptions {
  /** The state folder; made (0700) when it is not there. One process at a time uses it. */
  readonly dir: string;
  /** The witness's key name, by custom a URL without its scheme. Needed when the folder is new. */
  readonly name?: string | undefined;
  /** Verifier keys of the logs that are witnessed; several of one name are keys of one log. */
  readonly logKeys: readonly string[];
  readonly clock?: Pick<Clock, 'wallMs'> | undefined;
}

/** An HTTP answer as plain data. */
export interface Answer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 413 | 422 | 500;
  readonly type: string;
  readonly body: string;
  /** The log that was asked about, where it is a known one. */
  readonly origin?: string;
}

/**
 * A C2SP tlog-witness (c2sp.org/tlog-witness): cosigns a checkpoint only after the log's signature and the consistency
 * with the latest one it cosigned were checked, and answers only when the new one is on disk.
 *
 * Checking, writing and signing are one synchronous step, so two requests of one log cannot interleave; the kernel
 * lock keeps a second process out.
 */
export class Witness {
  readonly #dir: string;
  readonly #key: WitnessKey;
  readonly #logs = new Map<string, VerifierKey[]>();
  readonly #seen = new Map<string, Seen>();
  /** Logs whose last update failed on the way to the disk: what is there now is known only to a new start. */
  readonly #broken = new Set<string>();
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #lock: KernelLock;

  /** Throws `log_locked`, `keys_missing`, `keys_unsafe`, `bad_key`, `bad_option`, `log_damaged`. */
  constructor(options: WitnessOptions) {
    this.#dir = options.dir;
    this.#clock = options.clock ?? systemClock;
    for (const text of options.logKeys) {
      const key = parseVerifierKey(text);
      this.#logs.set(key.name, [...(this.#logs.get(key.name) ?? []), key]);
    }
    makeFolder(options.dir);
    this.#lock = takeLock(path.join(options.dir, 'lock'), `the witness ${options.dir}`);
    try {
      this.#key = openWitnessKey(options.dir, options.name);
      for (const origin of this.#logs.keys()) {
        const seen = readSeen(options.dir, origin, this.#key.publicKey);
        if (seen !== undefined) this.#seen.set(origin, seen);
      }
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  /** The verifier key of the cosignatures, signature type 4. */
  get publicKey(): string {
    return this.#key.publicKey.text;
  }

  close(): void {
    this.#lock.release();
  }

  /** Answers one `add-checkpoint` body. Never throws: what goes wrong on the disk is a 500. */
  addCheckpoint(body: Buffer): Answer {
    let request: AddCheckpoint;
    try {
      request = parseAddCheckpoint(body);
    } catch (error) {
      return refusal(400, reasonOf(error));
    }
    const { origin, size } = request.checkpoint;
    const keys = this.#logs.get(origin);
    if (keys === undefined) return refusal(404, 'this witness does not know the log');
    if (checkNote(request.note, keys) !== 'signed') {
      return refusal(403, 'the checkpoint carries no good signature of a key of the log', origin);
    }
    if (request.oldSize > size) {
      return refusal(400, 'the old size is larger than the checkpoint', origin);
    }
    if (this.#broken.has(origin)) {
      return refusal(500, 'the last update could not be stored; start the witness again', origin);
    }
    const seen = this.#seen.get(origin)?.checkpoint ?? { size: 0, root: emptyRoot };
    if (request.oldSize !== seen.size) {
      return { status: 409, type: 'text/x.tlog.size', body: `${seen.size}\n`, origin };
    }
    if (!extendsTree(seen, request)) {
      const reason = `the checkpoint of ${size} is not proved to extend the one of ${seen.size} cosigned last`;
      return refusal(422, reason, origin);
    }
    return this.#accept(request, keys);
  }

  #accept({ note, checkpoint }: AddCheckpoint, keys: readonly VerifierKey[]): Answer {
    const { publicKey, privateKey } = this.#key;
    const seconds = Math.max(1, Math.floor(this.#clock.wallMs() / 1000));
    const own = cosign(note.text, seconds, publicKey, privateKey);
    const ofLog = note.signatures.filter((line) =>
      keys.some((key) => key.name === line.name && key.hash === line.hash),
    );
    const cosigned: Note = { text: note.text, signatures: [...ofLog, own] };
    try {
      writeSeen(this.#dir, { note: cosigned, checkpoint });
    } catch (error) {
      this.#broken.add(checkpoint.origin);
      const reason = `the checkpoint could not be stored: ${reasonOf(error)}`;
      return refusal(500, reason, checkpoint.origin);
    }
    this.#seen.set(checkpoint.origin, { note: cosigned, checkpoint });
    return { status: 200, type: 'text/plain; charset=utf-8', body: formatSignatureLine(own) };
  }

  /** The latest cosigned checkpoint of the log whose origin has this SHA-256, in hex. */
  latest(hash: string): Answer {
    for (const [origin, { note }] of this.#seen) {
      if (originHash(origin) !== hash || this.#broken.has(origin)) continue;
      return { status: 200, type: 'text/plain; charset=utf-8', body: formatNote(note) };
    }
    return refusal(404, 'no checkpoint of such a log was cosigned');
  }
}

function refusal(
  status: Exclude<Answer['status'], 200 | 409>,
  reason: string,
  origin?: string,
): Answer {
  const about = origin === undefined ? {} : { origin };
  return { status, type: 'text/plain; charset=utf-8', body: `${reason}\n`, ...about };
}

/** Whether the proof shows that the tree seen is the beginning of the one asked for. */
function extendsTree(
  seen: { readonly size: number; readonly root: string },
  { proof, checkpoint: { size, root } }: AddCheckpoint,
): boolean {
  if (size === 0 && root !== emptyRoot) return false;
  return checkConsistency(seen.size, seen.root, size, root, proof);
}
