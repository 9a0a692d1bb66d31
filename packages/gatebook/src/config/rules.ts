import type { Fault } from './fault.js';
import type { Setting } from './load.js';

const ownLimits = new Set(['requests_per_minute', 'tool_executions_per_minute']);

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
  const limiting = 'security.rate_limiting.';
  if (!given.has(`${limiting}enabled`)) {
    const first = [...given.values()].find(({ key }) => key.name.startsWith(limiting));
    if (first !== undefined) {
      const message = 'has no effect: say enabled = true beside it, or false';
      faults.push(fault(first, message));
    }
  }
  const limits = given.get(`${limiting}limits`);
  const taken = Object.keys((limits?.value ?? {}) as object).find((name) => ownLimits.has(name));
  if (limits !== undefined && taken !== undefined) {
    faults.push(fault(limits, `has a limit named ${taken}, which is a key's name`));
  }
  return faults;
}

function fault({ key, source = '', place }: Setting, message: string): Fault {
  return { source, place, message: `${key.name} ${message}` };
}
