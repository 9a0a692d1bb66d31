/**
 * Takes numbers from a counter that all processes over one log share, none of them twice, and prints each.
 *
 *   node examples/dist/share-counter.js --log DIR --keys DIR --state FILE [--numbers N] [--in-flight N] [--pause-ms N]
 *
 * The process that writes the log has the counter, and the others ask it (`AuditLog.consult`). What the next writer must know
 * lies in the state file: the first number that may not have been given away. It is moved ahead by a hundred before any of these is
 * given, so that a holder that is killed costs some numbers and gives none twice; one that closes its log says exactly where it
 * stood.
 *
 * On stdout: `opened <pid>`, then `<number> <host>` for each number, or `lost <code>` where it is not known whether one was
 * given, or `refused <code> <reason>`; `host <host>` when another process came to hold the counter; `left <pid> <host>` when this
 * one holds it and another has gone; and `closed` at the end. Without --numbers it goes on until it is killed.
 */
import { readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AuditError, type AuditLog, type MessageHook, openAuditLog } from '@gatebook/audit';

const { values } = parseArgs({
  options: {
    log: { type: 'string', default: 'count/log' },
    keys: { type: 'string', default: 'count/keys' },
    state: { type: 'string', default: 'count/state' },
    numbers: { type: 'string' },
    'in-flight': { type: 'string', default: '8' },
    'pause-ms': { type: 'string', default: '0' },
  },
});

/** So many numbers are lost at most when the process that has the counter is killed. */
const ahead = 100;
/** So many refusals in a row end the run: the log does not come back by itself. */
const refusalsMax = 200;

const wanted = Number(values.numbers ?? Number.POSITIVE_INFINITY);
let taken = 0;
let refusals = 0;

/** Written at once: who kills this process must find every number it was given. */
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

function readState(): number {
  try {
    return Number(readFileSync(values.state, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 0;
  }
}

function writeState(first: number): void {
  writeFileSync(`${values.state}~`, `${first}\n`);
  renameSync(`${values.state}~`, values.state);
}

/** The counter, in the process that writes the log. */
function makeCounter(host: string): MessageHook {
  let next = readState();
  let mayGive = next;
  return {
    answer: () => {
      if (next === mayGive) {
        mayGive += ahead;
        writeState(mayGive);
      }
      return String(next++);
    },
    left: ({ pid }) => say(`left ${pid} ${host}`),
    close: (how) => {
      if (how === 'clean') writeState(next);
    },
  };
}

async function takeOne(log: AuditLog): Promise<void> {
  try {
    const { answer, host } = await log.consult('next');
    taken++;
    refusals = 0;
    say(`${answer} ${host}`);
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    if (error.code === 'unknown_outcome') say(`lost ${error.code}`);
    else {
      refusals++;
      say(`refused ${error.code} ${error.message}`);
      await sleep(5);
    }
  }
}

async function lane(log: AuditLog): Promise<void> {
  while (taken < wanted && refusals < refusalsMax) {
    await takeOne(log);
    await sleep(Number(values['pause-ms']));
  }
}

const log = await openAuditLog({ dir: values.log, keysDir: values.keys, hook: makeCounter });
log.onHostChanged((host) => say(`host ${host}`));
say(`opened ${process.pid}`);
await Promise.all(Array.from({ length: Number(values['in-flight']) }, () => lane(log)));
await log.close();
say('closed');
