import type { AuditEvent } from '@gatebook/audit';

/** The outcome of a tool call as an agent's gate would report it; the same object for gatebook and for its peers. */
export const event: AuditEvent = {
  eventType: 'tool_execution',
  actor: { channel: 'cli', userId: 'u-1042', username: 'maria' },
  sessionId: 'ses-7f3a91',
  callId: 'call-99215',
  source: 'filesystem',
  action: {
    phase: 'outcome',
    tool: 'read_file',
    arguments: { path: '/srv/app/settings.json', head: 40 },
    riskLevel: 'low',
    allowed: true,
  },
  result: { success: true, status: 'ok', durationMs: 12.4 },
};
