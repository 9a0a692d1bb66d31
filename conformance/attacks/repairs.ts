import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../cli/gatebook.js';
import type { Attack, Brought, Expected } from './attack.js';
import { rangeOf } from './cut-ends.js';
import {
  drop,
  type Folder,
  file,
  pathsIn,
  put,
  readFolder,
  segmentPaths,
  WorkFolder,
} from './folder.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import { readRecords, replaceLine, type StoredRecord } from './records.js';

/** Logs that `gatebook audit repair` has mended stay reported, and a repair excuses nothing that was done since. */
export async function repairs(dir: string, logs: Logs): Promise<Attack[]> {
  const { folder, records } = logs.closed;
  const paths = segmentPaths(folder);
  const [first, end] = rangeOf(records, paths[3]!);
  const hurt = records[Math.floor((first + end) / 2)]!;
  const changed = replaceLine(
    folder,
    hurt,
    hurt.line.toString().replace('"timestamp":"2', '"timestamp":"3'),
  );
  const bare = drop(changed, ...pathsIn(changed, 'tile'));
  const deleted = drop(folder, paths[2]!);
  const [gone, goneEnd] = rangeOf(records, paths[2]!);
  const range = (from: number, to: number): Expected => ({
    verdict: 'missing',
    at: { range: [from, to] },
  });
  const mended = await repaired(dir, 'mended', logs, changed);
  return [
    ...both(logs, 'a changed record, repaired', mended, range(hurt.seq, end)),
    ...both(
      logs,
      'a deleted segment, repaired',
      await repaired(dir, 'deleted', logs, deleted),
      range(gone, goneEnd),
    ),
    ...both(
      logs,
      'a changed record, repaired without tiles',
      await repaired(dir, 'bare', logs, bare),
      {
        verdict: 'missing',
        at: { range: [first, records.length] },
      },
    ),
    ...sinceThen(logs, mended, hurt, paths[3]!),
    ...forged(logs, hurt, paths[3]!),
  ];
}

async function repaired(dir: string, name: string, logs: Logs, damaged: Folder): Promise<Folder> {
  const log = join(dir, `repair-${name}`, 'log');
  const keys = join(dir, `repair-${name}`, 'keys');
  await mkdir(log, { recursive: true, mode: 0o700 });
  await cp(logs.keysOfClosed, keys, { recursive: true });
  await new WorkFolder(log).become(damaged);
  const ran = await run(['audit', 'repair', '--json', '--log', log, '--keys', keys]);
  if (ran.code !== 0) throw new Error(`repair: exit ${ran.code}: ${ran.stdout}${ran.stderr}`);
  const input = '{"event_type":"acme.after"}\n'.repeat(5);
  const wrote = await run(['record', '--log', log, '--keys', keys], { input });
  if (wrote.code !== 0) throw new Error(`record: exit ${wrote.code}: ${wrote.stderr}`);
  return await readFolder(log);
}

function both(logs: Logs, name: string, folder: Folder, expected: Expected): Attack[] {
  const levels: readonly (readonly [string, Brought])[] = [
    ['public', asPublic(logs)],
    ['auditor', asAuditor(logs)],
    ['public, older evidence', asPublic(logs, { held: [logs.held.early, logs.held.closed] })],
  ];
  return levels.map(([level, brought]) => ({
    name: `${level}: ${name}`,
    folder: () => folder,
    brought,
    expected,
  }));
}

/** What is done to a log that was repaired. */
function sinceThen(logs: Logs, mended: Folder, hurt: StoredRecord, path: string): Attack[] {
  const tampered: Expected = { verdict: 'tampered' };
  const [aside] = pathsIn(mended, 'damaged');
  const records = readRecords(mended);
  const last = segmentPaths(mended).at(-1)!;
  const spoilt = (record: StoredRecord): Folder =>
    replaceLine(mended, record, record.line.toString().replace('"timestamp":"2', '"timestamp":"3'));
  const before = records.find((record) => record.seq === hurt.seq - 1)!;
  const behind = records.find((record) => record.seq > hurt.seq)!;
  const repair = records.find((record) => record.members['event_type'] === 'log.repaired')!;
  const bound = `checkpoints/${String(hurt.seq).padStart(20, '0')}`;
  const bytes = file(mended, aside!);
  const sameSize = Buffer.from(bytes);
  sameSize[40]! ^= 1;
  const wider = repair.line
    .toString()
    .replace(`"first_seq":${hurt.seq}`, `"first_seq":${hurt.seq - 1}`);
  const lines = file(mended, last).toString().split('\n');
  const cases: readonly (readonly [string, Folder, Expected])[] = [
    ['what was set aside changed', put(mended, aside!, sameSize), tampered],
    ['what was set aside deleted', drop(mended, aside!), tampered],
    ['something put beside it', put(mended, `${aside}.more`, 'x'), tampered],
    ['the record before the gap changed', spoilt(before), tampered],
    ['the record behind the gap changed', spoilt(behind), tampered],
    ['the newest record changed', spoilt(records.at(-1)!), tampered],
    ['the checkpoint before the gap deleted', drop(mended, bound), tampered],
    ['the repair’s range widened', replaceLine(mended, repair, wider), tampered],
    ['the damaged file put back', put(mended, path, bytes), tampered],
    ['the undamaged file put back', put(mended, path, file(logs.closed.folder, path)), tampered],
    [
      'the end cut off',
      put(mended, last, `${lines.slice(0, -2).join('\n')}\n`),
      { verdict: 'truncated' },
    ],
    ['the repair’s segment deleted', drop(mended, repair.path), tampered],
  ];
  return cases.flatMap(([name, folder, expected]) =>
    both(logs, `repaired, then ${name}`, folder, expected),
  );
}

/** Somebody without the keys appends a repair that excuses what they did. */
function forged(logs: Logs, hurt: StoredRecord, path: string): Attack[] {
  const { folder, records } = logs.closed;
  const [first, end] = rangeOf(records, path);
  const newest = records.at(-1)!;
  const kept = records.filter(({ seq }) => seq >= first && seq < hurt.seq);
  const cut = put(folder, path, kept.map(({ line }) => `${line.toString()}\n`).join(''));
  const behind = records.length;
  const frontier = Array.from({ length: end.toString(2).replaceAll('0', '').length }, () =>
    Buffer.alloc(32, 7).toString('base64'),
  );
  const details = {
    reason: 'tampered',
    finding: 'none',
    ranges: [{ first_seq: hurt.seq, last_seq: end - 1, frontier }],
    files: 0,
    sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  };
  const line = JSON.stringify({
    seq: behind,
    timestamp: newest.members['timestamp'],
    event_id: 'evt_01a2040c-c3aa-7661-8c18-b77448050312',
    event_type: 'log.repaired',
    emitter: 'log',
    details,
    epoch: Number(newest.members['epoch']) + 1,
    prev_hash: newest.members['hash'],
    hash: '0'.repeat(64),
  });
  const name = `segments/${String(behind).padStart(20, '0')}.jsonl`;
  return both(logs, 'a repair forged behind the end', put(cut, name, `${line}\n`), {
    verdict: 'tampered',
  });
}
