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
  if (limits !== undefined) {
    const isOfRedis = given.has(`${limiting}redis_url`);
    for (const [name, limit] of Object.entries((limits.value ?? {}) as object)) {
      const what = limitFault(name, limit as Readonly<Record<string, unknown>>, isOfRedis);
      if (what !== undefined) faults.push(fault(limits, what));
    }
  }
  return faults;
}

const kinds = ['rate', 'in_flight', 'quota', 'rolling'];

function limitFault(
  name: string,
  limit: Readonly<Record<string, unknown>>,
  isOfRedis: boolean,
): string | undefined {
  if (ownLimits.has(name)) return `has a limit named ${name}, which is a key's name`;
  const [kind, ...others] = kinds.filter((each) => limit[each] !== undefined);
  if (kind === undefined) return `has a limit ${name} without ${kinds.join(', ')}: say one of them`;
  if (others.length > 0) return `has a limit ${name} with ${kind} and ${others[0]}: leave one out`;
  if (kind !== 'rate' && limit['burst'] !== undefined)
    return `has a limit ${name} with burst, which is only of a rate`;
  if (kind !== 'quota' && limit['zone'] !== undefined)
    return `has a limit ${name} with zone, which is only of a quota`;
  if (kind === 'rolling' && !isOfRedis)
    return `has a limit ${name} with rolling, which is counted in Redis only: set redis_url, or take quota`;
  return undefined;
}

function fault({ key, source = '', place }: Setting, message: string): Fault {
  return { source, place, message: `${key.name} ${message}` };
}
