import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { openAuditLog } from './log.js';
import {
  checkNamedSocket,
  checkSocketPath,
  prepareSocketFolder,
  socketPlace,
} from './socket-place.js';
import { temporaryFolder, temporaryLog } from './testing/folders.js';

const before = process.env['XDG_RUNTIME_DIR'];

afterEach(() => {
  if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
  else process.env['XDG_RUNTIME_DIR'] = before;
});

const bad = (message: string): object =>
  expect.objectContaining({ code: 'bad_socket', message: expect.stringContaining(message) });

describe('the place of a socket', () => {
  test('is in XDG_RUNTIME_DIR, one folder for each log, the same by whatever link it is reached', () => {
    const folder = temporaryFolder();
    process.env['XDG_RUNTIME_DIR'] = folder;
    const [one, two] = [path.join(folder, 'one'), path.join(folder, 'two')];
    fs.mkdirSync(one);
    fs.mkdirSync(two);
    fs.symlinkSync(one, path.join(folder, 'link'));
    expect(socketPlace(one).startsWith(`${folder}/gatebook/`)).toBe(true);
    expect(socketPlace(path.join(folder, 'link'))).toBe(socketPlace(one));
    expect(socketPlace(two)).not.toBe(socketPlace(one));
  });

  test('is a folder of this user’s in the temporary one where XDG_RUNTIME_DIR is none', () => {
    const folder = temporaryFolder();
    for (const none of ['', 'relative', path.join(folder, 'absent')]) {
      process.env['XDG_RUNTIME_DIR'] = none;
      expect(path.basename(path.dirname(path.dirname(socketPlace(folder))))).toBe(
        `gatebook-${process.geteuid?.()}`,
      );
    }
  });

  test('of more than 100 bytes is an error that says so, also when a log is opened', async () => {
    expect(checkSocketPath(`/${'x'.repeat(99)}`)).toHaveLength(100);
    expect(() => checkSocketPath(`/${'x'.repeat(100)}`)).toThrow(bad('101 bytes'));
    const long = path.join(temporaryFolder(), 'x'.repeat(80));
    fs.mkdirSync(long);
    process.env['XDG_RUNTIME_DIR'] = long;
    await expect(openAuditLog(temporaryLog())).rejects.toMatchObject({
      code: 'bad_socket',
      message: expect.stringContaining('more than 100'),
    });
  });

  test('is made 0700, and refused when it is a link or others may enter', () => {
    const folder = temporaryFolder();
    const socket = path.join(folder, 'gatebook', 'hash', 'writer');
    prepareSocketFolder(socket);
    expect(fs.statSync(path.dirname(socket)).mode & 0o777).toBe(0o700);
    prepareSocketFolder(socket);
    fs.chmodSync(path.dirname(socket), 0o755);
    expect(() => prepareSocketFolder(socket)).toThrow(bad('open to other users'));
    fs.rmdirSync(path.dirname(socket));
    fs.symlinkSync(folder, path.dirname(socket));
    expect(() => prepareSocketFolder(socket)).toThrow(bad('is no folder'));
  });

  test.skipIf(process.getuid?.() !== 0)('is refused when it belongs to somebody else', () => {
    const folder = temporaryFolder();
    const socket = path.join(folder, 'gatebook', 'hash', 'writer');
    prepareSocketFolder(socket);
    fs.chownSync(path.dirname(socket), 61_009, 61_009);
    expect(() => prepareSocketFolder(socket)).toThrow(bad('belongs to user 61009'));
  });

  test('named by hand must not be in a folder in which others may write', () => {
    const folder = temporaryFolder();
    expect(checkNamedSocket(path.join(folder, 's'))).toBe(path.join(folder, 's'));
    fs.chmodSync(folder, 0o777);
    expect(() => checkNamedSocket(path.join(folder, 's'))).toThrow(bad('others may write'));
    expect(() => checkNamedSocket(path.join(folder, 'absent', 's'))).toThrow(bad('no folder'));
  });
});
