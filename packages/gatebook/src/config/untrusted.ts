import type { AuditEvent } from '@gatebook/audit';
import type { Untrusted } from './load.js';

/** For people: what is ignored, and what to do. */
export function untrustedText({ file, given, changed }: Untrusted): string {
  const names = given.map(({ key }) => key.name).join(', ');
  const why =
    changed.length === 0
      ? `${file} is not trusted`
      : `${changed.join(', ')}, named by ${file}, is not as it was trusted`;
  return `ignored, because ${why} (look at it, then: gatebook config trust): ${names}`;
}

/** The record of an attempt to weaken what holds here; the values are not in it. */
export function untrustedEvent({ file, sha256, given, changed }: Untrusted): AuditEvent {
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
    details: {
      sha256,
      keys: given.map(({ key }) => key.name),
      ...(changed.length === 0 ? {} : { changed: changed.map((path) => path.toWellFormed()) }),
    },
  };
}
