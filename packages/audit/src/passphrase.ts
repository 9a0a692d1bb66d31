import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { AuditError, reasonOf } from './errors.js';
import { checkPrivate, checkSecretVariable } from './private-file.js';

/** Where the passphrase of an encrypted key is; never the passphrase itself, and never the command line. */
export type PassphraseSource =
  | { readonly kind: 'variable'; readonly variable: string }
  | { readonly kind: 'file'; readonly file: string }
  /** Asked for at the terminal. */
  | { readonly kind: 'terminal' };

const passphraseBytesMax = 1_024;

/** Throws `keys_missing` or `keys_unsafe`, naming the source. `what` is the key it is for. */
export function openPassphrase(source: PassphraseSource, what: string): string {
  const text = readPassphrase(source, what);
  if (text !== '') return text;
  throw new AuditError('keys_missing', `the passphrase of ${what} is empty`);
}

function readPassphrase(source: PassphraseSource, what: string): string {
  if (source.kind === 'variable') {
    checkSecretVariable(source.variable);
    return process.env[source.variable] ?? '';
  }
  if (source.kind === 'terminal') return askTerminal(what);
  checkPrivate(source.file);
  if (fs.statSync(source.file).size > passphraseBytesMax)
    throw new AuditError('keys_missing', `${source.file} is too large for a passphrase`);
  return fs.readFileSync(source.file, 'utf8').replace(/\r?\n$/, '');
}

/** Asks without echo, at the terminal itself: standard input may be a protocol. */
function askTerminal(what: string): string {
  let tty: number;
  try {
    tty = fs.openSync('/dev/tty', 'r+');
  } catch (error) {
    const reason = `there is no terminal to ask for the passphrase of ${what}: ${reasonOf(error)}`;
    throw new AuditError('keys_missing', reason, { cause: error });
  }
  const echo = (setting: 'echo' | '-echo'): void => {
    const { status } = spawnSync('stty', [setting], { stdio: [tty, 'ignore', 'ignore'] });
    if (status !== 0)
      throw new AuditError('keys_missing', 'the terminal’s echo could not be set (stty)');
  };
  try {
    echo('-echo');
    try {
      fs.writeSync(tty, `passphrase of ${what}: `);
      return readAnswer(tty);
    } finally {
      fs.writeSync(tty, '\n');
      echo('echo');
    }
  } finally {
    fs.closeSync(tty);
  }
}

function readAnswer(tty: number): string {
  const bytes = Buffer.alloc(passphraseBytesMax);
  let got = 0;
  while (got < bytes.length && !bytes.subarray(0, got).includes(10)) {
    const more = fs.readSync(tty, bytes, got, bytes.length - got, null);
    if (more === 0) break;
    got += more;
  }
  const end = bytes.subarray(0, got).indexOf(10);
  const answer = bytes.toString('utf8', 0, end < 0 ? got : end);
  bytes.fill(0);
  return answer;
}
