import * as fs from 'node:fs';
import * as path from 'node:path';
import { type Answer, type Measures, type Round, ratioTable, tableOf } from './answer.js';
import { pinoFile } from './append-contenders.js';
import type { Bench } from './bench.js';
import type { BigLog, Workspace } from './workspace.js';

const pinoRecords = 10_000;
const column = 'bytes/record';

/** How many bytes on disk does a record take? */
export async function auditBytes({ plan, workspace }: Bench): Promise<Answer> {
  const log = await workspace.bigLog();
  const pino = await pinoBytes(workspace);
  const whole = bytesPerRecord(log, plan.bigRecords);
  const segments = { [column]: whole.segments };
  const all = { [column]: whole.all };
  // One round: the same events give the same bytes every time.
  const round: Round = new Map<string, Measures>([
    ['gatebook, segments', segments],
    ['gatebook, all files', all],
    ['pino', { [column]: pino }],
  ]);
  return {
    question: 'audit-bytes',
    title: 'Bytes on disk',
    method: [
      `A log of ${plan.bigRecords.toLocaleString('en')} records, closed, against pino's file of the same events. Lengths of the files, not the blocks they take.`,
      'All files: segments, tiles, checkpoints. A record carries its seq, event id, epoch and two hashes, which pino has not.',
    ],
    tables: [
      tableOf('Bytes a record', [round]),
      ratioTable('Bytes a record: ratios', [round], 'gatebook, all files', ['pino'], [column]),
    ],
    targets: [],
  };
}

function bytesPerRecord(log: BigLog, records: number): { segments: number; all: number } {
  const entries = fs.readdirSync(log.dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = files.map((file) => fs.statSync(path.join(file.parentPath, file.name)).size);
  return {
    segments: log.bytes / records,
    all: sizes.reduce((sum, size) => sum + size, 0) / records,
  };
}

async function pinoBytes(workspace: Workspace): Promise<number> {
  const place = workspace.path();
  const load = {
    inFlight: 1_000,
    recordsMax: pinoRecords,
    msMax: Number.POSITIVE_INFINITY,
    warmUp: 0,
  };
  const { records } = await pinoFile.append(load, place, Buffer.alloc(0));
  const { size } = fs.statSync(place);
  fs.rmSync(place);
  return size / records;
}
