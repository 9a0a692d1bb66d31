import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { storedEpochs } from './keys.js';
import type { LogRecord } from './stored-record.js';
import { appendEvents, audit, numbered, openDirect } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import {
  callsToTry,
  changingAndLooking,
  dieAt,
  pretendToSync,
  withFaults,
} from './testing/faults.js';
import { type Folders, linesOf, segmentFiles, temporaryLog } from './testing/folders.js';

pretendToSync();

function records(log: Folders): LogRecord[] {
  return linesOf(log.dir).map((line) => JSON.parse(line) as LogRecord);
}

function numbers(log: Folders): unknown[] {
  return records(log)
    .filter((record) => record.event_type === 'test.event')
    .map((record) => record.details?.['number']);
}

describe('a move to the next epoch or segment, interrupted', () => {
  const moves: [string, (log: Folders, clock: FakeClock) => () => void][] = [
    [
      'a seal',
      (log, clock) => {
        const writer = openDirect(log, { segmentBytesMax: 4_096 }, clock);
        while (fs.statSync(segmentFiles(log.dir).at(-1)!).size < 4_096) {
          appendEvents(writer, numbered(0, 1));
        }
        return () => {
          const [told] = appendEvents(writer, numbered(77, 1));
          if (told === undefined || 'error' in told) throw told?.error ?? new Error('nothing told');
        };
      },
    ],
    [
      'an epoch’s end',
      (log, clock) => {
        const writer = openDirect(log, { epochMs: 1_000 }, clock);
        appendEvents(writer, numbered(0, 2));
        clock.pass(1_000);
        return () => {
          const [told] = appendEvents(writer, numbered(77, 1));
          if (told === undefined || 'error' in told) throw told?.error ?? new Error('nothing told');
        };
      },
    ],
    [
      'a close',
      (log, clock) => {
        const writer = openDirect(log, {}, clock);
        appendEvents(writer, numbered(0, 2));
        return () => writer.close();
      },
    ],
  ];

  test.each(moves)('%s: killed at any call, the next opening finishes it', async (_, prepare) => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const clock = new FakeClock();
      const act = prepare(log, clock);
      const before = numbers(log).length;
      const { died } = dieAt(at, act);
      const reopened = openDirect(log, {}, clock);
      appendEvents(reopened, numbered(88, 1));
      reopened.close();
      const report = await audit(log);
      expect(report.findings, `died at call ${at}`).toEqual([]);
      expect(report.verdict).toBe('ok');
      expect(report.pending).toBe(0);
      const found = numbers(log);
      expect(found.slice(0, before)).toEqual(Array.from({ length: before }, (_, i) => found[i]));
      expect(found.at(-1)).toBe(88);
      expect(storedEpochs(log.keysDir)).toHaveLength(1);
      expect(storedEpochs(log.keysDir)[0]).toBe(report.epochs);
      const left = fs.readdirSync(log.keysDir).filter((name) => name.endsWith('.key.tmp'));
      expect(left).toEqual([]);
      if (!died) break;
      expect(at).toBeLessThan(200);
    }
  });

  test.each(
    moves.slice(0, 2),
  )('%s: one call fails once, the same writer goes on without being opened again', async (_, prepare) => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const clock = new FakeClock();
      const act = prepare(log, clock);
      let calls = 0;
      let failed: unknown;
      withFaults(
        () => calls++ === at,
        () => {
          try {
            act();
          } catch (error) {
            failed = error;
          }
        },
        'EIO',
        changingAndLooking,
      );
      clock.pass(2_000);
      expect(act, `after call ${at} failed (${String(failed)})`).not.toThrow();
      const report = await audit(log);
      expect(report.findings, `call ${at}`).toEqual([]);
      if (calls <= at) break;
    }
  });

  test('opening, killed at any call and opened again, comes to the same', async () => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const first = openDirect(log);
      appendEvents(first, numbered(0, 3));
      fs.appendFileSync(segmentFiles(log.dir)[0]!, '{"seq":4,"half');
      const { died } = dieAt(at, () => {
        openDirect(log);
      });
      openDirect(log).close();
      const report = await audit(log);
      expect(report.findings, `died at call ${at}`).toEqual([]);
      expect(report.verdict).toBe('ok');
      expect(numbers(log)).toEqual([0, 1, 2]);
      const torn = records(log).filter((record) => record.details?.['torn_file'] !== undefined);
      expect(torn, `died at call ${at}`).toHaveLength(1);
      expect(
        fs.readdirSync(path.join(log.dir, 'torn')).filter((name) => name.endsWith('.bin')),
      ).toHaveLength(1);
      if (!died) break;
    }
  });

  test('opening, one call of which fails and opened again, names every torn end once', async () => {
    for (let at = 0; ; at++) {
      const log = temporaryLog();
      const first = openDirect(log);
      appendEvents(first, numbered(0, 3));
      fs.appendFileSync(segmentFiles(log.dir)[0]!, '{"seq":4,"half');
      let calls = 0;
      try {
        withFaults(
          () => calls++ === at,
          () => openDirect(log),
          'EIO',
          changingAndLooking,
        );
      } catch {
        // The next opening has to make up for it.
      }
      openDirect(log).close();
      const report = await audit(log);
      expect(report.findings, `call ${at} failed`).toEqual([]);
      const torn = records(log).flatMap((record) => record.details?.['torn_file'] ?? []);
      const names = fs.readdirSync(path.join(log.dir, 'torn'));
      expect(torn, `call ${at} failed`).toEqual(names.filter((name) => name.endsWith('.bin')));
      if (calls <= at) break;
    }
  });

  test('the first set-up, killed at any call, is begun again', async () => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const { died } = dieAt(at, () => {
        openDirect(log);
      });
      const writer = openDirect(log);
      expect(appendEvents(writer, numbered(0, 1))).toMatchObject([{ count: 1 }]);
      writer.close();
      const report = await audit(log);
      expect(report.findings, `died at call ${at}`).toEqual([]);
      expect(report.verdict).toBe('ok');
      if (!died) break;
    }
  });
});
