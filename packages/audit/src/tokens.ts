import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import * as fs from 'node:fs';
import { readIfThere } from './durable.js';
import { AuditError } from './errors.js';
import { checkEmitter } from './options.js';

/**
 * Tokens prove to a writer who hands an event in. The writer's file holds one line for each, the hex SHA-256 of the token
 * and the emitter that it proves. A token is 256 random bits, so a plain hash of it tells nobody the token.
 */

export interface KnownToken {
  readonly hash: Buffer;
  readonly emitter: string;
}

const tokenPattern = /^gbt_[A-Za-z0-9_-]{43}$/;
const linePattern = /^([0-9a-f]{64}) (.+)$/;
const tokensMax = 10_000;

/** A new token, and the line of the token file that makes it known. */
export function newToken(emitter: string): { readonly token: string; readonly line: string } {
  const token = `gbt_${randomBytes(32).toString('base64url')}`;
  const hash = createHash('sha256').update(token).digest('hex');
  return { token, line: `${hash} ${checkTokenEmitter(emitter)}\n` };
}

function checkTokenEmitter(emitter: string): string {
  if (!/[\r\n]/.test(emitter) && emitter.trim() === emitter && emitter !== '') {
    return checkEmitter(emitter);
  }
  throw new AuditError('bad_option', 'an emitter is a text on one line without spaces around it', {
    member: 'emitter',
  });
}

/** Reads a token file. Throws `bad_token` when it cannot be trusted or read; nobody gets in then. */
export function readTokens(file: string): KnownToken[] {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw wrong(file, 'is not there');
  const uid = process.geteuid?.() ?? stat.uid;
  if (stat.uid !== uid && stat.uid !== 0) throw wrong(file, `belongs to user ${stat.uid}`);
  if ((stat.mode & 0o022) !== 0) throw wrong(file, 'can be written by other users');
  const tokens: KnownToken[] = [];
  for (const [at, line] of (readIfThere(file) ?? '').split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, hash = '', emitter = ''] = linePattern.exec(line) ?? [];
    if (hash === '' || tokens.length >= tokensMax) {
      throw wrong(file, `has a line ${at + 1} that is not "<hex SHA-256 of the token> <emitter>"`);
    }
    tokens.push({ hash: Buffer.from(hash, 'hex'), emitter: checkTokenEmitter(emitter) });
  }
  return tokens;
}

function wrong(file: string, why: string): AuditError {
  return new AuditError('bad_token', `the token file ${file} ${why}`);
}

/** The known token that `token` is. Every one is compared, in the same time, whichever it is. */
export function matchToken(token: string, known: readonly KnownToken[]): KnownToken | undefined {
  const hash = createHash('sha256').update(token).digest();
  let match: KnownToken | undefined;
  for (const one of known) if (timingSafeEqual(hash, one.hash)) match = one;
  return match;
}

/** Reads the token a client was given from a file of its own. */
export function readTokenOf(file: string): string {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw wrong(file, 'is not there');
  if ((stat.mode & 0o077) !== 0) {
    throw wrong(file, 'is open to other users; run chmod go-rwx on it');
  }
  return checkToken((readIfThere(file) ?? '').trim());
}

/** Refuses what cannot be a token before it is sent anywhere. */
export function checkToken(token: string): string {
  if (tokenPattern.test(token)) return token;
  throw new AuditError('bad_token', 'this is no token; gatebook token EMITTER makes one');
}
