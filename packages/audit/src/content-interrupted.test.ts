import { describe, expect, test } from 'vitest';
import { checkContents } from './content-check.js';
import { audit, openDirect, type Told } from './testing/direct-writer.js';
import { FakeClock } from './testing/fake-clock.js';
import {
  callsToTry,
  countCalls,
  dieAt,
  pretendToSync,
  wholeRun,
  withFaults,
} from './testing/faults.js';
import { temporaryLog } from './testing/folders.js';
import { alice, append, bob, call, calls } from './testing/people.js';

pretendToSync();

describe('an append', () => {
  const events = [call(alice, 1), call(bob, 2, 200_000)];

  test('killed at any call leaves no record without its content', async () => {
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const clock = new FakeClock();
      const writer = openDirect(log, { content: 'personal' }, clock);
      let told: Told[] = [];
      const { died } = dieAt(at, () => {
        told = append(writer, events);
        if (told.some((one) => 'error' in one)) throw new Error('it was refused');
      });
      const reopened = openDirect(log, {}, clock);
      append(reopened, [call(alice, 3), call(bob, 4)]);
      reopened.close();
      const { members } = await checkContents(log);
      expect(members, `died at call ${at}`).toMatchObject({ missing: 0, altered: 0, no_key: 0 });
      expect(members.opened).toBe(calls(log).length * 6);
      expect((await audit(log)).verdict).toBe('ok');
      if (!died) break;
      expect(at).toBeLessThan(100);
    }
  });

  test('of which one call fails is refused whole, or did not need it', async () => {
    let refused = 0;
    for (const at of callsToTry()) {
      const log = temporaryLog();
      const writer = openDirect(log, { content: 'personal' });
      let number = 0;
      const told = withFaults(
        () => number++ === at,
        () => append(writer, events),
      );
      const failed = told.some((one) => 'error' in one);
      if (failed) refused++;
      expect(calls(log)).toHaveLength(failed ? 0 : 2);
      expect(append(writer, events).some((one) => 'error' in one)).toBe(false);
      writer.close();
      expect((await checkContents(log)).members).toMatchObject({
        opened: calls(log).length * 6,
        missing: 0,
      });
      if (number <= at) break;
      expect(at).toBeLessThan(100);
    }
    // Among others the syncs of keys, names, their folder, content, its folder and the segment.
    expect(refused).toBeGreaterThan(wholeRun ? 15 : 4);
  });

  test('syncs content before the records, and nothing more where there is none', () => {
    const syncs = (content: 'personal' | 'off'): number | undefined => {
      const writer = openDirect(temporaryLog(), { content });
      append(writer, events);
      const counts = countCalls(() => append(writer, events));
      writer.close();
      return counts.get('fdatasyncSync');
    };
    expect(syncs('off')).toBe(1);
    expect(syncs('personal')).toBe(2);
  });
});
