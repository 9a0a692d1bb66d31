import { setUpLog, signingSource } from '@gatebook/audit';
import { faultText } from '../config/fault.js';
import type { Loaded } from '../config/load.js';
import { CliError, usageError } from './failure.js';
import type { Places } from './places.js';

/**
 * Has a new log sign with the configured key. One that is there goes on with the key that it has: that another is configured is
 * an error, for a key is changed by a record in the log and not by a line in a file.
 */
export function requireSigningKey({ dir, keysDir }: Places, loaded: Loaded | undefined): void {
  const { enabled, signingKeyPath: file } = loaded?.config.security.audit ?? {};
  if (file === undefined || enabled === false) return;
  const held = signingSource(keysDir);
  if (held === undefined) {
    setUpLog({ dir, keysDir, source: { kind: 'file', file } });
    return;
  }
  if (held.kind === 'file' && held.file === file) return;
  const message = `security.audit.signing_key_path is ${file}, but the log signs with ${held.words}; change its key with gatebook keys rotate --signing-key file:${file}`;
  const setting = loaded?.settings.find(
    ({ key }) => key.name === 'security.audit.signing_key_path',
  );
  throw usageError(faultText({ source: setting?.source ?? '', place: setting?.place, message }));
}

/** For commands that do nothing but record. */
export function requireLogOn(recording: { readonly enabled: boolean } | undefined): void {
  if (recording?.enabled !== false) return;
  throw new CliError(1, 'the audit log is off (security.audit.enabled = false)');
}
