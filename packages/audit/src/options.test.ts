import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { normaliseOptions } from './options.js';

const folders = { dir: '/tmp/log', keysDir: '/tmp/keys' };

test('the defaults are those of the documentation', () => {
  expect(normaliseOptions(folders)).toEqual({
    ...folders,
    emitter: `pid:${process.pid}`,
    durability: 'sync',
    syncIntervalMs: 1_000,
    checkpointIntervalMs: 1_000,
    checkpointRecordsMax: 10_000,
    epochMs: 60_000,
    segmentBytesMax: 104_857_600,
    rotate: 'size',
    archive: false,
    doorDelayMs: 0,
    retention: undefined,
    queueRecordsMax: 65_536,
    queueBytesMax: 67_108_864,
  });
});

test('what is given is taken, undefined is not given, and folders become absolute', () => {
  const given = {
    durability: 'interval',
    emitter: 'me',
    epochMs: 1,
    segmentBytesMax: 4_096,
    queueRecordsMax: 1,
  } as const;
  expect(normaliseOptions({ ...folders, ...given })).toMatchObject(given);
  expect(normaliseOptions({ ...folders, epochMs: undefined }).epochMs).toBe(60_000);
  expect(normaliseOptions({ dir: 'a', keysDir: 'b' })).toMatchObject({
    dir: path.resolve('a'),
    keysDir: path.resolve('b'),
  });
});

describe('refused, naming the option', () => {
  test.each([
    [{ dir: '' }, 'dir'],
    [{ dir: 5 }, 'dir'],
    [{ keysDir: undefined }, 'keysDir'],
    [{ keysDir: '/tmp/log' }, 'keysDir'],
    [{ keysDir: '/tmp/log/keys' }, 'keysDir'],
    [{ keysDir: '/tmp/x/../log/./keys/' }, 'keysDir'],
    [{ durability: 'fast' }, 'durability'],
    [{ epochMs: 60_001 }, 'epochMs'],
    [{ epochMs: 0 }, 'epochMs'],
    [{ epochMs: 1.5 }, 'epochMs'],
    [{ epochMs: '60' }, 'epochMs'],
    [{ epochMs: Number.NaN }, 'epochMs'],
    [{ checkpointRecordsMax: 10_001 }, 'checkpointRecordsMax'],
    [{ segmentBytesMax: 4_095 }, 'segmentBytesMax'],
    [{ queueRecordsMax: Number.POSITIVE_INFINITY }, 'queueRecordsMax'],
    [{ queueBytesMax: 65_535 }, 'queueBytesMax'],
    [{ syncIntervalMs: -1 }, 'syncIntervalMs'],
    [{ checkpointIntervalMs: 0 }, 'checkpointIntervalMs'],
  ])('%j', (wrong, member) => {
    expect(() => normaliseOptions({ ...folders, ...wrong } as never)).toThrow(
      expect.objectContaining({ code: 'bad_option', member }),
    );
  });

  test.each([
    ['the log itself', 'log'],
    ['a number', 5],
    ['a lone surrogate', '\ud800'],
    ['one that fills the line', 'x'.repeat(70_000)],
  ])('an emitter under which no event could be recorded: %s', (_, emitter) => {
    expect(() => normaliseOptions({ ...folders, emitter } as never)).toThrow(
      expect.objectContaining({ code: 'bad_option', member: 'emitter' }),
    );
  });

  test('a folder whose name only begins like the log folder is none inside it', () => {
    expect(normaliseOptions({ dir: '/tmp/log', keysDir: '/tmp/log-keys' }).keysDir).toBe(
      '/tmp/log-keys',
    );
  });
});
