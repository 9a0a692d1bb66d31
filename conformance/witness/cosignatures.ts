import { createHash, createPublicKey, verify } from 'node:crypto';

/** Cosignatures taken apart and checked by what c2sp.org/tlog-cosignature says, with nothing of gatebook. */

export interface CheckedLine {
  readonly name: string;
  readonly seconds: number;
}

/** The witness's line on a text; throws when it is none, or not a good one. */
export function checkCosignature(text: string, line: string, vkey: string): CheckedLine {
  const [name = '', hash = '', ...rest] = vkey.split('+');
  const material = Buffer.from(rest.join('+'), 'base64');
  const id = createHash('sha256').update(`${name}\n`).update(material).digest().subarray(0, 4);
  if (material[0] !== 4 || id.toString('hex') !== hash) throw new Error('no key of type 4');
  const match = /^— (\S+) (\S+)\n$/.exec(line);
  if (match === null || match[1] !== name) throw new Error(`not a line of ${name}: ${line}`);
  const packed = Buffer.from(match[2]!, 'base64');
  if (packed.length !== 4 + 8 + 64 || !packed.subarray(0, 4).equals(id)) {
    throw new Error('not a timestamped signature of this key');
  }
  const seconds = Number(packed.readBigUInt64BE(4));
  const key = createPublicKey({
    key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), material.subarray(1)]),
    format: 'der',
    type: 'spki',
  });
  const message = Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);
  if (!verify(null, message, key, packed.subarray(12)))
    throw new Error('the signature is not good');
  return { name, seconds };
}

/** The text of a note, and its signature lines with their newlines. */
export function split(note: string): { text: string; lines: string[] } {
  const at = note.lastIndexOf('\n\n');
  return {
    text: note.slice(0, at + 1),
    lines: note
      .slice(at + 2)
      .split(/(?<=\n)/)
      .filter((line) => line !== ''),
  };
}
