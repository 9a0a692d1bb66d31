import type { AuditEvent } from '@gatebook/audit';
import type { Untrusted } from './load.js';

/** For people: what is ignored, and what to do. */
export function untrustedText({ file, given }: Untrusted): string {
  const names = given.map(({ key }) => key.name).join(', ');
  return `ignored, because ${file} is not trusted (look at it, then: gatebook config trust): ${names}`;
}

/** The record of an attempt to weaken what holds here; the values are not in it. */
export function untrustedEvent({ file, sha256, given }: Untrusted): AuditEvent {
  return {
    eventType: 'security_event',
    source: 'gatebook config',
    action: { resource: file.toWellFormed(), allowed: false },
    result: { success: false, status: 'refused' },
    security: {
      policyViolation: true,
      rule: 'config.untrusted',
      reason: 'a project file that is not trusted sets keys that would weaken what holds here',
    },
    details: { sha256, keys: given.map(({ key }) => key.name) },
  };
}
