import {
  type AuditLog,
  type AuditLogOptions,
  openAuditLog,
  type ServedLogOptions,
} from '@gatebook/audit';
import { gateHook } from './gate/state/gate-hook.js';

/** Most commands are done before anybody else asks for the log: they are spared the thread that lets others in. */
const doorDelayMs = 250;

/** Opens a log for a command. */
export async function openLog(options: AuditLogOptions | ServedLogOptions): Promise<AuditLog> {
  if ('socket' in options) return await openAuditLog(options);
  // Whoever comes to write the log holds what all gates over it share.
  const { dir, keysDir } = options;
  const hook = gateHook(keysDir, { dir, log: () => opened });
  const opened = openAuditLog({ doorDelayMs, hook, ...options });
  return await opened;
}
