import { randomBytes } from 'node:crypto';
import type { Attack, Brought, Expected } from './attack.js';
import { drop, type Folder, file, pathsIn, put } from './folder.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import {
  checkpointText,
  freshSigner,
  keyId,
  note,
  type ParsedNote,
  packSignature,
  parseCheckpoint,
  signatureLine,
  signedCheckpoint,
} from './notes.js';
import { tamperedFile } from './places.js';

type Edit = (own: ParsedNote) => string;

const otherOrigin = `elsewhere/gatebook/${'0123456789abcdef'.repeat(2)}`;

/** Row 8, and what no key holder signed: each makes the file no checkpoint of this log. */
function badEdits(other: ParsedNote): Readonly<Record<string, Edit>> {
  const text = (own: ParsedNote, change: Partial<ParsedNote>) =>
    note(checkpointText({ ...own, ...change }), own.signature);
  const packed = (own: ParsedNote, id: Buffer, raw: Buffer, name = own.origin) =>
    note(own.text, packSignature(name, id, raw));
  const stranger = (own: ParsedNote) => freshSigner(own.origin);
  return {
    emptied: () => '',
    'cut to its text': (own) => own.text,
    'signature stripped': (own) => note(own.text),
    'signature stripped, blank line too': (own) => own.text.trimEnd(),
    'last newline cut': (own) => note(own.text, own.signature).trimEnd(),
    'blank line cut': (own) => `${own.text}${own.signature}`,
    'CRLF lines': (own) => note(own.text, own.signature).replaceAll('\n', '\r\n'),
    'NUL behind': (own) => `${note(own.text, own.signature)}\0`,
    'blank line behind': (own) => `${note(own.text, own.signature)}\n`,
    'line of rubbish behind': (own) => `${note(own.text, own.signature)}rubbish\n`,
    'space behind the root': (own) => note(own.text.replace(/\n$/, ' \n'), own.signature),
    'size one more': (own) => text(own, { size: own.size + 1 }),
    'size one less': (own) => text(own, { size: own.size - 1 }),
    'size zero': (own) => text(own, { size: 0 }),
    'size a million': (own) => text(own, { size: 1_000_000 }),
    'size with a leading zero': (own) => note(own.text.replace('\n', '\n0'), own.signature),
    'size in hex': (own) => note(own.text.replace(/\n\d+\n/, '\n0x10\n'), own.signature),
    'another root': (own) => text(own, { root: randomBytes(32) }),
    'short root': (own) => text(own, { root: own.root.subarray(0, 31) }),
    'root with loose bits': (own) => note(own.text.replace(/.=\n$/, loosened), own.signature),
    'another origin': (own) => text(own, { origin: otherOrigin }),
    'no origin': (own) => text(own, { origin: '' }),
    'extension line added': (own) => note(`${own.text}extension\n`, own.signature),
    'signature of another text': (own) => note(own.text, other.signature),
    'signature random': (own) => packed(own, own.id, randomBytes(64)),
    'signature zero': (own) => packed(own, own.id, Buffer.alloc(64)),
    'signature one byte short': (own) => packed(own, own.id, own.raw.subarray(0, 63)),
    'signature one byte long': (own) => packed(own, own.id, Buffer.concat([own.raw, own.id])),
    'signature with a timestamp in front, as a witness signs': (own) =>
      packed(own, own.id, Buffer.concat([Buffer.alloc(8), own.raw])),
    'signature empty': (own) => packed(own, own.id, Buffer.alloc(0)),
    'signature beyond the group order': (own) => packed(own, own.id, malleable(own.raw)),
    'key id changed': (own) =>
      packed(own, Buffer.from([own.id[0]! ^ 1, ...own.id.subarray(1)]), own.raw),
    'key id of another algorithm': (own) =>
      packed(own, keyId(own.origin, Buffer.concat([Buffer.of(4), Buffer.alloc(32)])), own.raw),
    'key name changed': (own) => packed(own, own.id, own.raw, otherOrigin),
    'signed by another key of this name': (own) =>
      note(own.text, signatureLine(own.text, stranger(own))),
    'signed by another key that claims this id': (own) =>
      note(own.text, signatureLine(own.text, { ...stranger(own), id: own.id })),
    'signed by another key, another root': (own) =>
      signedCheckpoint({ ...own, root: randomBytes(32) }, stranger(own)),
    'of another log': (own) => {
      const signer = freshSigner(otherOrigin);
      return signedCheckpoint({ ...own, origin: otherOrigin }, signer);
    },
    'a bad second signature of the key': (own) =>
      note(own.text, own.signature, packSignature(own.origin, own.id, randomBytes(64))),
    'a bad first signature of the key': (own) =>
      note(own.text, packSignature(own.origin, own.id, randomBytes(64)), own.signature),
    'an extension line signed by nobody, and a signature more': (own) =>
      note(`${own.text}x\n`, own.signature, own.signature),
    'a blank line between signatures': (own) => note(own.text, own.signature, '\n', own.signature),
    'a hyphen for the dash': (own) => note(own.text, own.signature.replace('—', '-')),
    'byte order mark': (own) => `\ufeff${note(own.text, own.signature)}`,
    random: () => randomBytes(200).toString('latin1'),
  };
}

/** What a signed note may carry beside the log's own signature. */
const goodEdits: Readonly<Record<string, Edit>> = {
  'an unknown signature behind': (own) => {
    const witness = freshSigner('witness.example');
    return note(own.text, own.signature, signatureLine(own.text, witness));
  },
  'an unknown signature in front': (own) => {
    const witness = freshSigner('witness.example/1');
    return note(own.text, signatureLine(own.text, witness), own.signature);
  },
  'an unknown signature that would not verify': (own) =>
    note(own.text, own.signature, packSignature('w', Buffer.of(1, 2, 3, 4), randomBytes(72))),
  'another key’s signature under this name': (own) =>
    note(own.text, own.signature, signatureLine(own.text, freshSigner(own.origin))),
  'the same signature twice': (own) => note(own.text, own.signature, own.signature),
};

function loosened(end: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return `${alphabet[alphabet.indexOf(end[0]!) ^ 1]}=\n`;
}

const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The same signature with the group's order added to its scalar: RFC 8032 §5.1.7 refuses it. */
function malleable(signature: Buffer): Buffer {
  const scalar = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`);
  const hex = (scalar + groupOrder).toString(16).padStart(64, '0');
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(hex, 'hex').reverse()]);
}

export function checkpointEdits(logs: Logs): Attack[] {
  const { folder } = logs.closed;
  const sealed = pathsIn(folder, 'checkpoints');
  const chosen = ['checkpoint', sealed[0]!, sealed.at(-1)!];
  const other = parseCheckpoint(file(folder, sealed[3]!));
  const ok: Expected = { verdict: 'ok', pending: 0 };
  const edit = (
    path: string,
    [name, make]: readonly [string, Edit],
    brought: Brought,
    expected: Expected,
  ): Attack => ({
    name: `${path}: ${name}`,
    folder: () => put(folder, path, make(parseCheckpoint(file(folder, path)))),
    brought,
    expected,
  });
  return chosen.flatMap((path, i) => {
    const brought = i % 2 === 0 ? asPublic(logs) : asAuditor(logs);
    return [
      ...Object.entries(badEdits(other)).map((each) =>
        edit(path, each, brought, tamperedFile(path)),
      ),
      ...Object.entries(goodEdits).map((each) => edit(path, each, brought, ok)),
    ];
  });
}

/** Checkpoints put where they do not belong, and older ones put back. */
export function movedCheckpoints(
  logs: Logs,
  held: { readonly last: Buffer; readonly pending: Buffer; readonly other: Buffer },
): Attack[] {
  const { folder, covered } = logs.closed;
  const sealed = pathsIn(folder, 'checkpoints');
  const newest = file(folder, 'checkpoint');
  const attack = (
    name: string,
    changed: Folder,
    expected: Expected,
    brought?: Brought,
  ): Attack => ({
    name: `checkpoints: ${name}`,
    folder: () => changed,
    brought: brought ?? asPublic(logs),
    expected,
  });
  const last = sealed.at(-1)!;
  const behind = covered - parseCheckpoint(held.last).size;
  const within = put(folder, 'checkpoint', held.last);
  return [
    attack('an older one of the same epoch put back', within, { verdict: 'ok', pending: behind }),
    attack(
      'an older one of the same epoch put back, auditor',
      within,
      { verdict: 'ok', pending: behind },
      asAuditor(logs),
    ),
    attack(
      'an older one of the same epoch put back, strict',
      within,
      { verdict: 'ok', exit: 3, pending: behind },
      asPublic(logs, { strict: true }),
    ),
    attack(
      'an older one of the same epoch put back, the newer held',
      within,
      { verdict: 'ok', pending: 0 },
      asPublic(logs, { held: [logs.held.closed], strict: true }),
    ),
    // Between sessions an epoch ends, and a checkpoint that covers its end was made.
    attack(
      'one from before the last opening put back',
      put(folder, 'checkpoint', held.pending),
      tamperedFile('checkpoint'),
    ),
    ...sealed.map((path) =>
      attack(
        `${path} put back as the newest`,
        put(folder, 'checkpoint', file(folder, path)),
        tamperedFile('checkpoint'),
      ),
    ),
    attack('the newest removed', drop(folder, 'checkpoint'), tamperedFile('checkpoint')),
    attack('all removed', drop(folder, 'checkpoint', ...sealed), tamperedFile('checkpoint')),
    attack(
      'all removed, auditor',
      drop(folder, 'checkpoint', ...sealed),
      tamperedFile('checkpoint'),
      asAuditor(logs),
    ),
    ...sealed.map((path) =>
      attack(`${path} removed`, drop(folder, path), { verdict: 'ok', pending: 0 }),
    ),
    attack(
      'the newest is another log’s',
      put(folder, 'checkpoint', held.other),
      tamperedFile('checkpoint'),
    ),
    attack(
      'the newest copied under its size',
      put(folder, `checkpoints/${name20(covered)}`, newest),
      { verdict: 'ok', pending: 0 },
    ),
    attack(
      'the newest copied under another size',
      put(folder, `checkpoints/${name20(covered + 1)}`, newest),
      tamperedFile(`checkpoints/${name20(covered + 1)}`),
    ),
    attack(
      'two exchanged',
      put(put(folder, sealed[0]!, file(folder, sealed[1]!)), sealed[1]!, file(folder, sealed[0]!)),
      tamperedFile(sealed[0]!),
    ),
    attack('one renamed to no size', put(drop(folder, last), `${last}.old`, file(folder, last)), {
      verdict: 'ok',
      pending: 0,
    }),
    attack('an unfinished write beside', put(folder, `${last}.tmp`, 'half'), {
      verdict: 'ok',
      pending: 0,
    }),
  ];
}

function name20(size: number): string {
  return String(size).padStart(20, '0');
}
