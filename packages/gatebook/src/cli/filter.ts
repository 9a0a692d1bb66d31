import type { LogRecord } from '@gatebook/audit';
import { type RecordView, viewOf } from './record-view.js';

/** What a record must be to be shown. Values within one list are alternatives; the lists must all hold. */
export interface Filter {
  /** Matches user_id or username. */
  readonly users: readonly string[];
  readonly risks: readonly string[];
  readonly types: readonly string[];
  readonly tools: readonly string[];
  readonly sessions: readonly string[];
  /** Milliseconds since 1970, inclusive. */
  readonly sinceMs?: number | undefined;
  /** Milliseconds since 1970, inclusive. */
  readonly untilMs?: number | undefined;
  readonly violationsOnly: boolean;
}

export const everything: Filter = {
  users: [],
  risks: [],
  types: [],
  tools: [],
  sessions: [],
  violationsOnly: false,
};

type Test = (view: RecordView) => boolean;

const violationTypes: ReadonlySet<string> = new Set([
  'policy_violation',
  'rate_limit_hit',
  'ssrf_block',
  'injection_block',
]);

/** Whether something was, or would have been, against the rules. */
export function isViolation(view: RecordView): boolean {
  return (
    violationTypes.has(view.eventType) ||
    view.flag('security.policy_violation') === true ||
    view.flag('action.allowed') === false
  );
}

/** The filter as one function, or undefined when it lets everything pass. */
export function compileFilter(filter: Filter): ((record: LogRecord) => boolean) | undefined {
  const tests: Test[] = [];
  const oneOf = (wanted: readonly string[], paths: readonly string[]): void => {
    if (wanted.length === 0) return;
    const set = new Set(wanted);
    tests.push((view) =>
      paths.some((path) => {
        const value = view.exact(path);
        return value !== undefined && set.has(value);
      }),
    );
  };
  oneOf(filter.types, ['event_type']);
  oneOf(filter.users, ['actor.user_id', 'actor.username']);
  oneOf(filter.risks, ['action.risk_level']);
  oneOf(filter.tools, ['action.tool']);
  oneOf(filter.sessions, ['session_id']);
  // The log's timestamps all have the form YYYY-MM-DDTHH:MM:SS.mmmZ, whose order as text is their order in time.
  const { sinceMs, untilMs } = filter;
  if (sinceMs !== undefined) {
    const since = new Date(sinceMs).toISOString();
    tests.push((view) => view.timestamp >= since);
  }
  if (untilMs !== undefined) {
    const until = new Date(untilMs).toISOString();
    tests.push((view) => view.timestamp <= until);
  }
  if (filter.violationsOnly) tests.push(isViolation);
  if (tests.length === 0) return undefined;
  return (record) => {
    const view = viewOf(record);
    return tests.every((test) => test(view));
  };
}
