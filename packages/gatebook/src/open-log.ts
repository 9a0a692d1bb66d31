import {
  type AuditLog,
  type AuditLogOptions,
  openAuditLog,
  type ServedLogOptions,
} from '@gatebook/audit';

/** Most commands are done before anybody else asks for the log: they are spared the thread that lets others in. */
const doorDelayMs = 250;

/** Opens a log for a command. */
export async function openLog(options: AuditLogOptions | ServedLogOptions): Promise<AuditLog> {
  return await openAuditLog('socket' in options ? options : { doorDelayMs, ...options });
}
