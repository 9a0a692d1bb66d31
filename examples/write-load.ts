/**
 * Appends numbered events at full load and prints one line for each acknowledgement.
 *
 *   node examples/dist/write-load.js --log DIR --keys DIR [--records N] [--first N] [--in-flight N]
 *     [--segment-bytes N] [--epoch-ms N] [--checkpoint-ms N] [--checkpoint-records N] [--pause-ms N] [--prune-to N]
 *     [--rotate-key] [--user NAME] [--erase NAME]
 *
 * On stdout: `opened <origin>`, then `<number> <seq> <event_id>` for every event as soon as it is durable, or
 * `<number> refused <code> <reason>`, and `closed` at the end. Event n carries details {n, text}, the text being n dots
 * modulo 97, so a reader can check the content. Without --records it goes on until it is killed. --pause-ms waits that
 * long between one event and the next of the same lane; --in-flight is the number of lanes. --prune-to then lets the oldest
 * segments go while the log holds more than N records, and prints `pruned <segments>`; --rotate-key changes the signing key and
 * prints `rotated`; --erase erases a user and prints `erased <subjects>`. --user has the events done by a user, whose name is
 * kept out of the records as personal content.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Acknowledgement, AuditError, type AuditLog, openAuditLog } from '@gatebook/audit';

const { values } = parseArgs({
  options: {
    log: { type: 'string' },
    keys: { type: 'string' },
    records: { type: 'string' },
    first: { type: 'string', default: '0' },
    'in-flight': { type: 'string', default: '64' },
    'segment-bytes': { type: 'string' },
    'epoch-ms': { type: 'string' },
    'checkpoint-ms': { type: 'string' },
    'checkpoint-records': { type: 'string' },
    'pause-ms': { type: 'string', default: '0' },
    'prune-to': { type: 'string' },
    'rotate-key': { type: 'boolean', default: false },
    user: { type: 'string' },
    erase: { type: 'string' },
  },
});

/** So many refusals in a row end the run: the log does not come back by itself. */
const refusalsMax = 200;
const first = Number(values.first);
const end = first + Number(values.records ?? Number.POSITIVE_INFINITY);
const pauseMs = Number(values['pause-ms']);
let next = first;
let refusals = 0;

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** Written at once and not buffered: who kills this process must find every line it was promised. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      // The reader is behind and the pipe is full.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

async function appendNext(log: AuditLog): Promise<void> {
  const n = next++;
  const actor =
    values.user === undefined ? undefined : { userId: values.user, username: values.user };
  const details = { n, text: '.'.repeat(n % 97) };
  const event = { eventType: 'example.load', actor, details } as const;
  const outcome = await log.append(event).catch((error: unknown) => error);
  if (isAcknowledgement(outcome)) {
    refusals = 0;
    say(`${n} ${outcome.seq} ${outcome.eventId}`);
    return;
  }
  refusals++;
  const code = outcome instanceof AuditError ? outcome.code : 'unknown';
  say(`${n} refused ${code} ${outcome instanceof Error ? outcome.message : String(outcome)}`);
  // Somebody has to make room on the disk; asking again at once would only keep it busy.
  await sleep(5);
}

function isAcknowledgement(outcome: unknown): outcome is Acknowledgement {
  return typeof outcome === 'object' && outcome !== null && 'seq' in outcome;
}

async function lane(log: AuditLog): Promise<void> {
  while (next < end && refusals < refusalsMax) {
    await appendNext(log);
    if (pauseMs > 0) await sleep(pauseMs);
  }
}

async function main(): Promise<void> {
  const recordsMax = numberOf(values['prune-to']);
  const log = await openAuditLog({
    dir: values.log ?? 'load/log',
    keysDir: values.keys ?? 'load/keys',
    segmentBytesMax: numberOf(values['segment-bytes']),
    epochMs: numberOf(values['epoch-ms']),
    checkpointIntervalMs: numberOf(values['checkpoint-ms']),
    checkpointRecordsMax: numberOf(values['checkpoint-records']),
    retention: recordsMax === undefined ? undefined : { recordsMax },
    content: values.user === undefined ? undefined : 'personal',
  });
  try {
    say(`opened ${log.origin}`);
    await Promise.all(Array.from({ length: Number(values['in-flight']) }, () => lane(log)));
    if (recordsMax !== undefined) say(`pruned ${(await log.prune()).length}`);
    if (values['rotate-key']) {
      await log.rotateSigningKey();
      say('rotated');
    }
    if (values.erase !== undefined)
      say(`erased ${(await log.erase(values.erase)).subjects.join(' ')}`);
  } finally {
    await log.close();
  }
  say('closed');
}

try {
  await main();
} catch (error) {
  const code = error instanceof AuditError ? error.code : 'unknown';
  say(`failed ${code} ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
