import { entryAt } from './content-lines.js';
import { AuditError } from './errors.js';
import type { OwnBytes } from './link.js';
import type { Found } from './relay-messages.js';
import { entryOf } from './resend.js';
import { type Outcome, toPlainError } from './thread-messages.js';

/** What a relay keeps of records until they are answered, and how it is cut into frames. */

/** Bodies of one frame; a frame holds a little more. */
const frameBodiesMax = 64 * 1024;
/** Lines of one frame, where one entry is larger than that; a line is at most half of it. */
const frameLinesMax = 192 * 1024;

/** Records in the order in which they were handed in, not answered yet. */
export interface Run {
  /** Bodies with a newline behind each; undefined once they went to a thread of this process. */
  bodies: OwnBytes | undefined;
  count: number;
  /** How many of `count` were answered. */
  settled: number;
  /** Whether a writer may have them: then they are looked for before they are handed in again. */
  sent: boolean;
  /** The answer, where it is known before its turn. */
  readonly known: Outcome | undefined;
}

export function runOf(bodies: OwnBytes | undefined, count: number): Run {
  return { bodies, count, settled: 0, sent: false, known: undefined };
}

export function runOfBody(body: Buffer, found: Found): Run {
  const bodies = new Uint8Array(body.length + 1);
  bodies.set(body);
  bodies[body.length] = 10;
  const known = outcomeOf(found, body);
  return { bodies, count: 1, settled: 0, sent: true, known };
}

function outcomeOf(found: Found, body: Buffer): Outcome | undefined {
  if (found === 'absent') return undefined;
  if (typeof found === 'number') return { firstSeq: found, count: 1 };
  const [id] = entryOf(bodyOf(body));
  const error =
    found === 'conflict'
      ? new AuditError('event_id_conflict', `another event with the id ${id} is in the log already`)
      : new AuditError(
          'unknown_outcome',
          `the writer went away before it answered, and too much was written since to find out whether event ${id} was recorded; look for it with gatebook audit`,
        );
  return { count: 1, error: toPlainError(error) };
}

/** The bodies of a run that were not answered, with their content lines, without the last newlines. */
export function bodiesOf(run: Run): Buffer[] {
  const bytes = Buffer.from(run.bodies!.buffer, run.bodies!.byteOffset, run.bodies!.length);
  const bodies: Buffer[] = [];
  let at = 0;
  for (let i = 0; i < run.count; i++) {
    const { end } = entryAt(bytes, at);
    if (i >= run.settled) bodies.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return bodies;
}

/** A batch in pieces that a frame holds, cut between bodies. */
export function cutToFrames(bodies: OwnBytes, count: number): Run[] {
  if (bodies.length <= frameBodiesMax) return [runOf(bodies, count)];
  const runs: Run[] = [];
  let from = 0;
  let taken = 0;
  let end = 0;
  for (let i = 0; i < count; i++) {
    const next = entryAt(bodies, end).end + 1;
    if (end > from && next - from > frameBodiesMax) {
      runs.push(runOf(bodies.subarray(from, end), i - taken));
      from = end;
      taken = i;
    }
    end = next;
  }
  runs.push(runOf(bodies.subarray(from), count - taken));
  return runs;
}

/** What one frame holds at most; content lines of one body may need more than one. */
export function* framesOf(bodies: OwnBytes): Generator<Uint8Array> {
  for (let from = 0; from < bodies.length; ) {
    let to = from + frameLinesMax;
    if (to >= bodies.length) to = bodies.length;
    else to = bodies.lastIndexOf(10, to - 1) + 1;
    yield bodies.subarray(from, to);
    from = to;
  }
}

/** Without the content lines. */
export function bodyOf(entry: Buffer): Buffer {
  return entry.subarray(entryAt(entry, 0).body);
}
