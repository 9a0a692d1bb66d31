import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Attack, Brought, Expected } from './attack.js';
import { type Folder, file, pathsIn, put } from './folder.js';
import type { StolenKeys } from './forger.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import {
  checkpointText,
  freshSigner,
  note,
  packSignature,
  parseCheckpoint,
  signatureLine,
  signedCheckpoint,
} from './notes.js';
import { tamperedAt } from './places.js';
import { replaceLine } from './records.js';

/** Files that verifiers bring by mistake or are handed by an enemy. */
export interface BroughtFiles {
  readonly mistypedKey: string;
  readonly otherAlgorithmKey: string;
  readonly mistypedHmacKey: string;
  readonly shortHmacKey: string;
  readonly emptyFile: string;
  /** Under this log's name, but made by nobody who writes it. */
  readonly strangerKey: string;
  readonly strangerHeld: string;
  readonly brokenHeld: string;
  readonly cosignedHeld: string;
  readonly rubbishHeld: string;
  readonly unsignedHeld: string;
  /** A key holder's signature on what the log never was. */
  readonly forgedHeld: string;
}

export async function makeBroughtFiles(
  dir: string,
  logs: Logs,
  keys: StolenKeys,
): Promise<BroughtFiles> {
  const publicKey = await readFile(logs.publicKey, 'utf8');
  const hmacKey = await readFile(logs.hmacKey, 'utf8');
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(dir, name);
    await writeFile(path, text);
    return path;
  };
  const own = parseCheckpoint(file(logs.closed.folder, 'checkpoint'));
  const stranger = freshSigner(own.origin);
  const broken = packSignature(own.origin, own.id, Buffer.alloc(64, 9));
  const witness = freshSigner('witness.example');
  const text = checkpointText(own);
  return {
    mistypedKey: await write('mistyped-key', mistype(publicKey)),
    otherAlgorithmKey: await write('other-algorithm', otherAlgorithm(publicKey)),
    mistypedHmacKey: await write('mistyped-hmac-key', mistype(hmacKey)),
    shortHmacKey: await write('short-hmac-key', hmacKey.trimEnd().slice(0, -8)),
    emptyFile: await write('empty', ''),
    strangerKey: await write('stranger-key', `${stranger.publicKey}\n`),
    strangerHeld: await write('stranger-held', signedCheckpoint(own, stranger)),
    brokenHeld: await write('broken-held', note(text, broken)),
    cosignedHeld: await write(
      'cosigned-held',
      note(text, own.signature, signatureLine(text, witness)),
    ),
    rubbishHeld: await write('rubbish-held', 'rubbish\n'),
    unsignedHeld: await write('unsigned-held', text),
    forgedHeld: await write(
      'forged-held',
      signedCheckpoint({ ...own, size: 50, root: Buffer.alloc(32, 5) }, keys.signer),
    ),
  };
}

/** Another letter in the middle of the key, which its own checksum betrays. */
function mistype(key: string): string {
  const at = key.trimEnd().length - 20;
  return `${key.slice(0, at)}${key[at] === 'A' ? 'B' : 'A'}${key.slice(at + 1)}`;
}

/** The key's algorithm byte set to 2. */
function otherAlgorithm(key: string): string {
  const [name = '', id = ''] = key.split('+');
  const material = Buffer.from(key.trim().slice(name.length + id.length + 2), 'base64');
  material[0] = 2;
  return `${name}+${id}+${material.toString('base64')}\n`;
}

const ok: Expected = { verdict: 'ok' };
const wrongLog: Expected = { verdict: 'wrong_log' };
const unverifiable: Expected = { verdict: 'unverifiable' };
const usage: Expected = { verdict: 'usage' };

function seen(
  log: string,
  folder: Folder,
  cases: readonly (readonly [string, Brought, Expected])[],
): Attack[] {
  return cases.map(([name, brought, expected]) => ({
    name: `${log}: ${name}`,
    folder: () => folder,
    brought,
    expected,
  }));
}

/** Row 9, and row 4 as far as it is about whose keys and evidence these are: nothing in the folder was touched. */
export function broughtWrongly(logs: Logs, files: BroughtFiles): Attack[] {
  const { closed, open, held } = logs;
  const key = [logs.publicKey];
  return [
    ...seen('untouched', closed.folder, [
      ['public', asPublic(logs), { verdict: 'ok', pending: 0 }],
      ['auditor', asAuditor(logs), { verdict: 'ok', pending: 0 }],
      ['strict', asPublic(logs, { strict: true }), ok],
      ['no key', {}, unverifiable],
      ['no key, strict', { strict: true }, unverifiable],
      ['no key, auditor', { hmacKey: logs.hmacKey }, unverifiable],
      ['auditor without the HMAC key', { keys: key, level: 'auditor' }, unverifiable],
      ['auditor without any key', { level: 'auditor' }, unverifiable],
      ['public although the HMAC key is there', asAuditor(logs, { level: 'public' }), ok],
      ['another log’s key', { keys: [logs.otherPublicKey] }, wrongLog],
      ['another log’s key beside', { keys: [...key, logs.otherPublicKey] }, wrongLog],
      ['another log’s HMAC key', { keys: key, hmacKey: logs.otherHmacKey }, wrongLog],
      ['the key twice', { keys: [...key, ...key] }, ok],
      ['a stranger’s key of this name', { keys: [files.strangerKey] }, wrongLog],
      ['key mistyped', { keys: [files.mistypedKey] }, usage],
      ['key of another algorithm', { keys: [files.otherAlgorithmKey] }, usage],
      ['key empty', { keys: [files.emptyFile] }, usage],
      ['key absent', { keys: [`${files.emptyFile}-absent`] }, usage],
      ['HMAC key mistyped', { keys: key, hmacKey: files.mistypedHmacKey }, usage],
      ['HMAC key short', { keys: key, hmacKey: files.shortHmacKey }, usage],
      ['HMAC key for the public key', { keys: [logs.hmacKey] }, usage],
      ['public key for the HMAC key', { keys: key, hmacKey: logs.publicKey }, usage],
      [
        'all of its own checkpoints held',
        asPublic(logs, { held: [held.early, held.middle, held.pending, held.closed] }),
        ok,
      ],
      ['a checkpoint held twice', asPublic(logs, { held: [held.closed, held.closed] }), ok],
      ['another log’s checkpoint held', asPublic(logs, { held: [held.other] }), wrongLog],
      [
        'another log’s checkpoint held beside',
        asAuditor(logs, { held: [held.closed, held.other] }),
        wrongLog,
      ],
      ['a checkpoint held, no key', { held: [held.closed] }, unverifiable],
      ['another log’s checkpoint held, no key', { held: [held.other] }, wrongLog],
      ['a stranger’s checkpoint held', asPublic(logs, { held: [files.strangerHeld] }), wrongLog],
      ['a cosigned checkpoint held', asPublic(logs, { held: [files.cosignedHeld] }), ok],
      [
        'a checkpoint with a bad signature held',
        asPublic(logs, { held: [files.brokenHeld] }),
        wrongLog,
      ],
      ['rubbish held', asPublic(logs, { held: [files.rubbishHeld] }), usage],
      ['an unsigned checkpoint held', asPublic(logs, { held: [files.unsignedHeld] }), usage],
      ['a fork’s checkpoint held', asPublic(logs, { held: [held.fork] }), { verdict: 'tampered' }],
      [
        'a fork’s checkpoint held beside its own',
        asPublic(logs, { held: [held.closed, held.fork] }),
        { verdict: 'tampered' },
      ],
      [
        'a checkpoint held that the key signed for another tree',
        asPublic(logs, { held: [files.forgedHeld] }),
        { verdict: 'tampered' },
      ],
    ]),
    ...seen('untouched, pending', open.folder, [
      ['public', asPublic(logs), ok],
      ['auditor', asAuditor(logs), ok],
      ['strict', asPublic(logs, { strict: true }), { verdict: 'ok', exit: 3 }],
      ['auditor, strict', asAuditor(logs, { strict: true }), { verdict: 'ok', exit: 3 }],
      ['no key, strict', { strict: true }, unverifiable],
    ]),
    ...wrongAndTampered(logs),
  ];
}

/** Several things wrong at once: the order of decision is fixed. */
function wrongAndTampered(logs: Logs): Attack[] {
  const { folder, records } = logs.closed;
  const record = records[123]!;
  const line = record.line.toString().replace('"timestamp":"2', '"timestamp":"3');
  const changed = replaceLine(folder, record, line);
  const badCheckpoint = put(folder, 'checkpoint', 'rubbish\n');
  const key = [logs.publicKey];
  return [
    ...seen('a record changed', changed, [
      ['no key', {}, tamperedAt(record)],
      ['auditor without the HMAC key', { keys: key, level: 'auditor' }, tamperedAt(record)],
      ['another log’s key', { keys: [logs.otherPublicKey] }, wrongLog],
      ['another log’s HMAC key', { keys: key, hmacKey: logs.otherHmacKey }, wrongLog],
      ['another log’s checkpoint held', asPublic(logs, { held: [logs.held.other] }), wrongLog],
      ['strict', asPublic(logs, { strict: true }), tamperedAt(record)],
    ]),
    ...seen('the checkpoint rubbish', badCheckpoint, [
      ['no key', {}, { verdict: 'tampered', at: { file: 'checkpoint' } }],
      ['auditor without the HMAC key', { keys: key, level: 'auditor' }, { verdict: 'tampered' }],
      ['another log’s key', { keys: [logs.otherPublicKey] }, wrongLog],
    ]),
  ];
}

/** Row 4: the folder as a whole is another. */
export function replacedFolders(logs: Logs): Attack[] {
  const { early, fork, other, closed, held } = logs;
  const rolled = (to: number): Expected => ({
    verdict: 'rolled_back',
    at: { range: [to, closed.covered] },
  });
  const key = [logs.publicKey];
  const otherCheckpoint = file(other.folder, 'checkpoint');
  const theirCheckpoints = pathsIn(closed.folder, 'checkpoints').reduce(
    (changed, path) => put(changed, path, otherCheckpoint),
    put(closed.folder, 'checkpoint', otherCheckpoint),
  );
  return [
    ...seen('an older copy', early.folder, [
      ['public, no evidence', asPublic(logs), ok],
      ['auditor, no evidence', asAuditor(logs), ok],
      ['public, its own checkpoint held', asPublic(logs, { held: [held.early] }), ok],
      ['public, newest held', asPublic(logs, { held: [held.closed] }), rolled(early.covered)],
      ['auditor, newest held', asAuditor(logs, { held: [held.closed] }), rolled(early.covered)],
      [
        'public, all held',
        asPublic(logs, { held: [held.early, held.middle, held.closed] }),
        { verdict: 'rolled_back' },
      ],
      ['no key, newest held', { held: [held.closed] }, { verdict: 'rolled_back' }],
    ]),
    ...seen('another log', other.folder, [
      ['public', asPublic(logs), wrongLog],
      ['auditor', asAuditor(logs), wrongLog],
      ['public, newest held', asPublic(logs, { held: [held.closed] }), wrongLog],
      ['no key, newest held', { held: [held.closed] }, wrongLog],
      [
        'its own key, our checkpoint held',
        { keys: [logs.otherPublicKey], held: [held.closed] },
        wrongLog,
      ],
      [
        'its own key, our HMAC key',
        { keys: [logs.otherPublicKey], hmacKey: logs.hmacKey },
        wrongLog,
      ],
      ['its own keys', { keys: [logs.otherPublicKey], hmacKey: logs.otherHmacKey }, ok],
    ]),
    ...seen('a fork with the same keys', fork.folder, [
      ['public, no evidence', asPublic(logs), ok],
      ['auditor, no evidence', asAuditor(logs), ok],
      ['public, a checkpoint from before held', asPublic(logs, { held: [held.early] }), ok],
      ['public, newest held', asPublic(logs, { held: [held.closed] }), { verdict: 'rolled_back' }],
      [
        'public, both held',
        asPublic(logs, { held: [held.fork, held.closed] }),
        { verdict: 'rolled_back' },
      ],
    ]),
    ...seen('our records, another log’s checkpoints', theirCheckpoints, [
      ['public', asPublic(logs), { verdict: 'tampered' }],
      ['auditor', asAuditor(logs), { verdict: 'tampered' }],
      ['the other log’s key', { keys: [logs.otherPublicKey] }, { verdict: 'tampered' }],
      ['no key', { keys: [] }, { verdict: 'tampered' }],
      ['both keys', { keys: [...key, logs.otherPublicKey] }, { verdict: 'tampered' }],
    ]),
  ];
}
