import * as fs from 'node:fs';
import { join } from 'node:path';
import { examineLog, type LogExamination } from '@gatebook/audit';
import { count, counted } from '../cli/talk.js';
import { type Check, fail, ok, warn } from './check.js';
import { exposure } from './keys-folder.js';

/** The checks of a log that is there, as it lies on disk. */
export function checkLog(dir: string, log: LogExamination): Check[] {
  return [
    checkPermissions(dir, log),
    checkWriter(log),
    checkEnd(log),
    ...log.faults.map((fault) =>
      fail(
        'log.readable',
        fault,
        'run gatebook audit verify; gatebook audit repair sets damage aside',
      ),
    ),
    ...checkCheckpoint(log),
  ];
}

export function lookAtLog(dir: string, publicKey: string | undefined): LogExamination | undefined {
  try {
    return examineLog(dir, publicKey === undefined ? [] : [publicKey]);
  } catch {
    // A key that is none.
    return examineLog(dir);
  }
}

function checkPermissions(dir: string, { records }: LogExamination): Check {
  const id = 'log.permissions';
  const segments = join(dir, 'segments');
  for (const folder of [dir, segments]) {
    const why = exposure(folder, 0o022);
    if (why !== undefined) {
      return fail(id, `${folder} ${why}, who could change the log`, `chmod -R go-rwx ${dir}`);
    }
    try {
      fs.accessSync(folder, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    } catch {
      const todo = 'run the gate as its owner, or append through gatebook serve (GATEBOOK_SOCKET)';
      return fail(id, `this user may not write to ${folder}, so every call is refused`, todo);
    }
  }
  const open = [dir, segments].map((folder) => exposure(folder, 0o077));
  const why = open.find((each) => each !== undefined);
  if (why !== undefined) {
    return warn(id, `${dir} ${why}: they can read what is recorded`, `chmod -R go-rwx ${dir}`);
  }
  return ok(id, `${dir} is its owner’s alone; ${counted(records, 'record')}`);
}

function checkWriter({ writer: { state, pid }, lastType }: LogExamination): Check {
  const id = 'log.writer';
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  switch (state) {
    case 'stopped':
      return fail(
        id,
        `${who} writes the log and is stopped, so nobody can record`,
        `let it go on (kill -CONT ${pid}) or end it`,
      );
    case 'writing':
      return ok(id, `${who} writes it`);
    case 'unsure':
      return ok(id, `${who} noted itself as the writer and is alive`);
    case 'none':
      if (lastType === 'log.closed') return ok(id, 'nobody writes it, and it was closed');
      return warn(
        id,
        'nobody writes it, and it was not closed: its last writer was killed, or the machine went down',
        'nothing: the next gate that starts takes up from what is on disk',
      );
  }
}

function checkEnd({ unfinishedBytes, writer, lastTimestamp }: LogExamination): Check {
  const id = 'log.end';
  if (unfinishedBytes > 0 && writer.state === 'none') {
    return warn(
      id,
      `${counted(unfinishedBytes, 'byte')} of a record that nobody finished stand at its end`,
      'nothing: the next gate that starts sets them aside and records that',
    );
  }
  return ok(id, lastTimestamp === '' ? 'it is empty' : `the last record is of ${lastTimestamp}`);
}

function checkCheckpoint({ checkpoint, records, writer, faults }: LogExamination): Check[] {
  const id = 'log.checkpoint';
  if (checkpoint === undefined) {
    // One that cannot be read was told of.
    if (faults.some((fault) => fault.startsWith('the checkpoint'))) return [];
    return [warn(id, 'there is no signed checkpoint', 'gatebook audit checkpoint')];
  }
  const { size, signed } = checkpoint;
  const words = `the newest checkpoint covers ${count(size)} of ${counted(records, 'record')}`;
  const todo = 'run gatebook audit verify, and keep the folder as it is until you know more';
  if (signed === false) {
    return [fail(id, `${words}, and no key in the keys folder has signed it`, todo)];
  }
  if (size > records) return [fail(id, `${words}: records are missing at its end`, todo)];
  if (writer.state === 'none' && size < records) {
    const what = `${words}; the others are under no signature`;
    return [warn(id, what, 'gatebook audit checkpoint')];
  }
  return [ok(id, words)];
}
