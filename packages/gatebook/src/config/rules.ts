import type { Fault } from './fault.js';
import type { Setting } from './load.js';

/** What is wrong with keys only together. */
export function crossFaults(settings: readonly Setting[]): Fault[] {
  const given = new Map(
    settings.filter(({ origin }) => origin !== 'default').map((each) => [each.key.name, each]),
  );
  const faults: Fault[] = [];
  const deletes = ['retention_days', 'max_total_mb', 'max_records'];
  if (!deletes.some((name) => given.has(`security.audit.${name}`))) {
    for (const name of ['keep_types', 'holds']) {
      const keeps = given.get(`security.audit.${name}`);
      if (keeps !== undefined) faults.push(fault(keeps, `needs one of ${deletes.join(', ')}`));
    }
  }
  return faults;
}

function fault({ key, source = '', place }: Setting, message: string): Fault {
  return { source, place, message: `${key.name} ${message}` };
}
