import type { EventType } from '@gatebook/audit';

/** What of all that could be recorded is not; everything is, unless somebody says otherwise. */
export interface Recording {
  readonly enabled: boolean;
  readonly logCommands: boolean;
  readonly logToolExecutions: boolean;
  readonly logFileAccess: boolean;
  readonly logAuthEvents: boolean;
  readonly logConfigChanges: boolean;
  readonly logPolicyViolations: boolean;
}

export const recordAll: Recording = {
  enabled: true,
  logCommands: true,
  logToolExecutions: true,
  logFileAccess: true,
  logAuthEvents: true,
  logConfigChanges: true,
  logPolicyViolations: true,
};

const switchOf: ReadonlyMap<EventType, keyof Recording> = new Map<EventType, keyof Recording>([
  ['command_execution', 'logCommands'],
  ['tool_execution', 'logToolExecutions'],
  ['mcp.prompt_get', 'logToolExecutions'],
  ['mcp.task_result', 'logToolExecutions'],
  ['mcp.late_answer', 'logToolExecutions'],
  ['mcp.call', 'logToolExecutions'],
  ['file_access', 'logFileAccess'],
  ['auth_success', 'logAuthEvents'],
  ['auth_failure', 'logAuthEvents'],
  ['auth_login', 'logAuthEvents'],
  ['auth_logout', 'logAuthEvents'],
  ['auth_refresh', 'logAuthEvents'],
  ['config_change', 'logConfigChanges'],
  ['policy_violation', 'logPolicyViolations'],
  ['rate_limit_hit', 'logPolicyViolations'],
  ['ssrf_block', 'logPolicyViolations'],
  ['injection_block', 'logPolicyViolations'],
]);

/** The switch by which events of this type are off, by its key's name in `[security.audit]`; undefined where they are recorded. */
export function switchedOff(recording: Recording, type: EventType): string | undefined {
  if (!recording.enabled) return 'enabled';
  const name = switchOf.get(type);
  if (name === undefined || recording[name]) return undefined;
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
