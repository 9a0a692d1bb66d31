import type { Batch, Guest } from './guest.js';

const newline = Buffer.from('\n');

/** Records of one guest in the order in which the writer has them. */
export interface Handed {
  readonly guest: Guest;
  count: number;
  bytes: number;
}

/** Bodies for the writer's thread, each with a newline behind it. */
export class WriterBatch implements Batch {
  readonly handed: Handed[] = [];
  readonly #bodies: Buffer[] = [];
  bytes = 0;
  count = 0;

  add(guest: Guest, body: Buffer, contents: Buffer | undefined): void {
    if (contents !== undefined) {
      this.#bodies.push(contents, newline);
      this.bytes += contents.length + 1;
    }
    this.#bodies.push(body, newline);
    this.bytes += body.length + 1;
    this.count++;
    const bytes = body.length + (contents?.length ?? 0);
    const last = this.handed.at(-1);
    if (last?.guest === guest) {
      last.count++;
      last.bytes += bytes;
    } else this.handed.push({ guest, count: 1, bytes });
  }

  /** In memory of its own, so that it can move to the writer's thread. */
  joined(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.bytes);
    let at = 0;
    for (const part of this.#bodies) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
