import * as path from 'node:path';
import { isThere, makeFolder, readIfThere, replaceFileDurably } from './durable.js';
import { AuditError } from './errors.js';
import type { PassphraseSource } from './passphrase.js';
import { keepPreviousLog, type PreviousLog } from './previous-log.js';
import type { SigningSource } from './signing-source.js';
import { firstKeyFile, formatSigningState, signingFile } from './signing-state.js';

export interface SetUpOptions {
  /** The log folder and the keys folder that `openAuditLog` will be given. */
  readonly dir: string;
  readonly keysDir: string;
  /** Where the signing key is. Default: one is made in the keys folder. */
  readonly source?: SigningSource | undefined;
  /** For a key that is made: encrypts it. */
  readonly passphrase?: PassphraseSource | undefined;
  /** The log that this one goes on from. */
  readonly previous?: PreviousLog | undefined;
}

/**
 * Says, before a log is opened for the first time, how it is to begin. Throws `bad_option` when the folders already hold
 * a log or keys.
 */
export function setUpLog(options: SetUpOptions): void {
  const { keysDir, passphrase, previous } = options;
  const dir = path.resolve(options.dir);
  if (isThere(path.join(dir, 'segments')) || readIfThere(path.join(keysDir, 'origin'))) {
    throw new AuditError(
      'bad_option',
      `${dir} or ${keysDir} holds a log already; name new folders for a new one`,
    );
  }
  makeFolder(keysDir);
  const source = options.source ?? { kind: 'file', file: firstKeyFile, passphrase };
  if (options.source !== undefined || passphrase !== undefined) {
    replaceFileDurably(
      path.join(keysDir, signingFile),
      formatSigningState({ current: { source }, retired: [] }),
    );
  }
  if (previous !== undefined) keepPreviousLog(keysDir, previous);
}
