import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseNote, signCheckpoint, verifierKey } from './checkpoint.js';
import { findCosignature, parseCosignerKey } from './cosignature.js';
import { keySigner } from './signer.js';
import { emptyRoot, leafHash } from './tree.js';
import { Witness } from './witness.js';
import { formatAddCheckpoint } from './witness-request.js';
import { originHash } from './witness-state.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
});

const origin = 'log.example';
const { privateKey } = generateKeyPairSync('ed25519');
const signers = [keySigner(origin, privateKey)];
const logKeys = [verifierKey(origin, privateKey).text];
const leaf = leafHash(Buffer.from('a'));

function open(dir: string, wallMs = 1_700_000_000_000): Witness {
  return new Witness({ dir, name: 'w.example', logKeys, clock: { wallMs: () => wallMs } });
}

function newFolder(): string {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'gatebook-witness-'));
  folders.push(folder);
  return folder;
}

function request(oldSize: number, size: number, root: string): Buffer {
  return formatAddCheckpoint(oldSize, [], signCheckpoint({ origin, size, root }, signers));
}

test('an update that could not be stored is not signed, and nothing more of that log is until a new start', () => {
  const dir = newFolder();
  const first = open(dir);
  expect(first.addCheckpoint(request(0, 0, emptyRoot)).status).toBe(200);
  // What is written next cannot be, for a folder stands in its place.
  const temporary = path.join(dir, 'origins', originHash(origin), 'checkpoint.tmp');
  fs.mkdirSync(temporary);
  const refused = first.addCheckpoint(request(0, 1, leaf));
  expect([refused.status, refused.body.includes('—')]).toEqual([500, false]);
  fs.rmdirSync(temporary);
  expect(first.addCheckpoint(request(0, 1, leaf)).status).toBe(500);
  expect(first.latest(originHash(origin)).status).toBe(404);
  first.close();
  const second = open(dir);
  expect(second.latest(originHash(origin)).body).toContain('\n0\n');
  expect(second.addCheckpoint(request(0, 1, leaf)).status).toBe(200);
  second.close();
});

test('what is answered is on disk before, with the time of the clock', () => {
  const dir = newFolder();
  const witness = open(dir);
  const { body } = witness.addCheckpoint(request(0, 1, leaf));
  const stored = fs.readFileSync(path.join(dir, 'origins', originHash(origin), 'checkpoint'));
  expect(stored.toString()).toBe(
    `${signCheckpoint({ origin, size: 1, root: leaf }, signers)}${body}`,
  );
  expect(findCosignature(parseNote(stored), parseCosignerKey(witness.publicKey))).toEqual({
    seconds: 1_700_000_000,
  });
  witness.close();
});

test('a clock before 1970 gives no cosignature without a time', () => {
  const witness = open(newFolder(), -5_000);
  const { status } = witness.addCheckpoint(request(0, 1, leaf));
  const note = parseNote(Buffer.from(witness.latest(originHash(origin)).body));
  const found = findCosignature(note, parseCosignerKey(witness.publicKey));
  expect([status, found]).toEqual([200, { seconds: 1 }]);
  witness.close();
});

test('a new witness needs a name without spaces and plus', () => {
  for (const name of [undefined, '', 'a b', 'a+b', 'a\nb']) {
    const dir = newFolder();
    expect(() => new Witness({ dir, name, logKeys }), String(name)).toThrow(
      expect.objectContaining({ code: 'bad_option' }),
    );
  }
});

test('a key file that others can read is refused', () => {
  const dir = newFolder();
  open(dir).close();
  fs.chmodSync(path.join(dir, 'signing-key.pem'), 0o640);
  expect(() => open(dir)).toThrow(expect.objectContaining({ code: 'keys_unsafe' }));
});
