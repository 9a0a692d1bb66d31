import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { openAuditLog } from './log.js';
import { logStatus } from './status.js';
import { appendEvents, numbered, openDirect } from './testing/direct-writer.js';
import { pretendToSync } from './testing/faults.js';
import { linesOf, segmentFiles, temporaryLog } from './testing/folders.js';

pretendToSync();

test('says how a log stands, while it is written and after', async () => {
  const log = temporaryLog();
  const opened = await openAuditLog({ ...log, checkpointIntervalMs: 60_000 });
  const { timestamp } = await opened.append({ eventType: 'a.b' });
  const file = path.join(log.keysDir, 'initial-hmac-key');
  expect(await logStatus(log)).toEqual({
    origin: opened.origin,
    publicKey: opened.publicKey,
    records: 2,
    segments: 1,
    bytes: fs.statSync(segmentFiles(log.dir)[0]!).size,
    archive: { segments: 0, bytes: 0, lineBytes: 0, unarchived: [] },
    diskBytes: expect.any(Number),
    rotation: {
      rotate: 'size',
      bytes: fs.statSync(segmentFiles(log.dir)[0]!).size,
      bytesMax: 104_857_600,
    },
    retention: { policy: { delete: 'never' }, pruned: [], horizon: expect.stringMatching(/Z$/) },
    content: { mode: 'off', subjects: 0, bytes: 0, erasurePending: false },
    epoch: 0,
    checkpoint: { size: 1, root: expect.stringMatching(/^[0-9a-f]{64}$/) },
    pending: 1,
    forwardSecurity: { on: false, initialKeyFile: file },
    lockedBy: process.pid,
    lastTimestamp: timestamp,
  });
  await opened.close();
  fs.rmSync(file);
  const after = await logStatus(log);
  expect(after).toMatchObject({ records: 3, epoch: 1, pending: 0, forwardSecurity: { on: true } });
  expect(after.lockedBy).toBeUndefined();
});

test('counts over segments, past an empty last one and an unfinished line', async () => {
  const log = temporaryLog();
  const writer = openDirect(log, { segmentBytesMax: 4_096 });
  for (let n = 0; n < 20; n++) appendEvents(writer, numbered(n, 1));
  const records = linesOf(log.dir).length;
  const segments = segmentFiles(log.dir).length;
  fs.writeFileSync(
    path.join(log.dir, 'segments', `${String(records).padStart(20, '0')}.jsonl`),
    '',
  );
  expect(await logStatus(log)).toMatchObject({ records, segments: segments + 1 });
  fs.appendFileSync(segmentFiles(log.dir)[segments]!, '{"seq":');
  expect(await logStatus(log)).toMatchObject({ records });
});

test('there is no log, or none that can be read', async () => {
  const log = temporaryLog();
  await expect(logStatus(log)).rejects.toMatchObject({ code: 'not_found' });
  openDirect(log).close();
  fs.appendFileSync(segmentFiles(log.dir)[0]!, 'garbage\n');
  await expect(logStatus(log)).rejects.toMatchObject({ code: 'log_damaged' });
});
