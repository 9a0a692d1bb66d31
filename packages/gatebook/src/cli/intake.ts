import type { Readable } from 'node:stream';
import {
  type Acknowledgement,
  AuditError,
  type AuditEvent,
  type AuditLog,
  type AuditLogOptions,
  type ServedLogOptions,
} from '@gatebook/audit';
import { openLog } from '../open-log.js';
import { type Recording, recordAll, switchedOff } from '../recording.js';
import { Acknowledgements } from './acknowledgements.js';
import { requireLogOn } from './configured-key.js';
import { OutputClosed, writeStdout } from './destination.js';
import { inStoredNames, parseEventLine, refusalOf } from './event-line.js';
import { type InputLine, LineSplitter } from './input-lines.js';
import { linesUntil } from './input-stream.js';
import { count, counted, say, warnForwardSecurity } from './talk.js';

/** A longer line is refused without being read whole into memory. */
export const lineBytesMax = 16 * 1024 * 1024;
/** Below what the log's own queue takes, so that it is never full because of this command alone. */
const inFlight = { linesMax: 16_384, bytesMax: 16 * 1024 * 1024 };

/** `gatebook record`: every line on stdin becomes a record, or is refused by name; one acknowledgement each. */
export async function record(
  options: AuditLogOptions | ServedLogOptions,
  recording: Recording = recordAll,
  first?: AuditEvent,
  input: Readable = process.stdin,
): Promise<number> {
  requireLogOn(recording);
  const log = await openLog(options);
  warnForwardSecurity(log.forwardSecurity);
  try {
    if (first !== undefined) await log.append(first);
    return await takeIn(log, recording, input);
  } finally {
    await log.close();
  }
}

/** The counts and the stop switch that one run shares. */
interface Intake {
  readonly log: AuditLog;
  readonly recording: Recording;
  readonly acknowledgements: Acknowledgements;
  readonly stop: AbortController;
  lines: number;
  refused: number;
}

async function takeIn(log: AuditLog, recording: Recording, input: Readable): Promise<number> {
  const stop = new AbortController();
  const acknowledgements = new Acknowledgements(inFlight, async (text) => {
    await writeStdout(text).catch((error: unknown) => {
      stop.abort();
      throw error;
    });
  });
  const intake: Intake = { log, recording, acknowledgements, stop, lines: 0, refused: 0 };
  const signals = stopOnSignals(stop);
  const splitter = new LineSplitter(lineBytesMax);
  try {
    for await (const line of linesUntil(input, splitter, stop.signal)) await takeLine(intake, line);
    await acknowledgements.settled();
  } finally {
    signals.forget();
  }
  if (splitter.pendingBytes > 0) {
    say(
      `stopped; ${counted(splitter.pendingBytes, 'byte')} of a line without its end were not recorded`,
    );
  }
  return conclude(intake);
}

async function takeLine(intake: Intake, line: InputLine): Promise<void> {
  const acknowledge = await intake.acknowledgements.place(line.bytes?.length ?? 0);
  intake.lines++;
  outcomeOf(intake, line).then(
    (good) => acknowledge(`${JSON.stringify({ ok: true, ...good })}\n`),
    (error: unknown) => {
      intake.refused++;
      const refusal = { ok: false, line: line.number, error: refusalOf(error) };
      acknowledge(`${JSON.stringify(refusal)}\n`);
    },
  );
}

/** Reaches `append` before it first waits, so that records keep the order of the lines. */
async function outcomeOf(
  { log, recording }: Intake,
  line: InputLine,
): Promise<{ seq: number; event_id: string } | { skipped: string }> {
  if (line.bytes === undefined) {
    throw new AuditError('too_large', `the line is longer than ${count(lineBytesMax)} bytes`);
  }
  const event = parseEventLine(line.bytes);
  const off = switchedOff(recording, event.eventType);
  if (off !== undefined) return { skipped: `security.audit.${off}` };
  const { seq, eventId } = await appendWhenRoom(log, event);
  return { seq, event_id: eventId };
}

async function appendWhenRoom(log: AuditLog, event: AuditEvent): Promise<Acknowledgement> {
  for (;;) {
    try {
      return await log.append(event);
    } catch (error) {
      if (!(error instanceof AuditError) || error.code !== 'queue_full') {
        throw inStoredNames(error);
      }
      await log.drained();
    }
  }
}

function conclude({ acknowledgements, lines, refused }: Intake): number {
  const { failure } = acknowledgements;
  if (failure instanceof OutputClosed) {
    say(
      'the reader of the acknowledgements has gone; what was read is recorded, the rest of the input was not read',
    );
    return 1;
  }
  if (failure !== undefined) throw failure;
  if (refused > 0) say(`${count(refused)} of ${counted(lines, 'line')} refused`);
  return refused > 0 ? 1 : 0;
}

/** The first signal stops the reading; a second one ends the process as it would have. */
function stopOnSignals(stop: AbortController): { forget(): void } {
  const onSignal = (): void => {
    forget();
    stop.abort();
  };
  const forget = (): void => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return { forget };
}
