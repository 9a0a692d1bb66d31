import { leafHash, rootOf } from './merkle.js';
import type { Members } from './records.js';

/** What a seal says of the records before it, and the file beside its segment (docs/format.md §3.1), counted anew. */
export interface Tallied {
  readonly details: Members;
  readonly bytes: Buffer;
}

type Section = Readonly<Record<string, unknown>> | undefined;

export function tallyOf(records: readonly Members[]): Tallied {
  const counts = new Map<string, number>();
  const add = (dimension: string, value: unknown): void => {
    const key = `["${dimension}",${JSON.stringify(value)},`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  const text = (value: unknown): unknown => (typeof value === 'string' ? value : null);
  for (const record of records) {
    const action = record['action'] as Section;
    const allowed = action?.['allowed'];
    add('type', record['event_type']);
    add('actor', text((record['actor'] as Section)?.['user_id']));
    add('tool', text(action?.['tool']));
    add('risk', text(action?.['risk_level']));
    add('decision', typeof allowed === 'boolean' ? allowed : null);
  }
  const lines = [...counts].map(([key, count]) => Buffer.from(`${key}${count}]`));
  lines.sort(Buffer.compare);
  const times = records.map((record) => String(record['timestamp'])).sort();
  return {
    details: {
      first_timestamp: times[0],
      last_timestamp: times.at(-1),
      tally_size: lines.length,
      tally_root: rootOf(lines.map(leafHash)).toString('hex'),
    },
    bytes: Buffer.from(lines.map((line) => `${line.toString()}\n`).join('')),
  };
}
