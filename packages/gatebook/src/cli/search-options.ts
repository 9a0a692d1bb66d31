import { eventTypes, isEventType, riskLevels } from '@gatebook/audit';
import { usageError } from './failure.js';
import type { Filter } from './filter.js';

/** The filters of `gatebook audit` as the command line gives them. */
export interface FilterOptions {
  readonly user?: readonly string[];
  readonly risk?: readonly string[];
  readonly type?: readonly string[];
  readonly tool?: readonly string[];
  readonly session?: readonly string[];
  readonly since?: number;
  readonly until?: number;
  readonly violationsOnly?: boolean;
}

/** Checks what could only ever match nothing, because that would look like an answer. */
export function filterFrom(options: FilterOptions): Filter {
  const { since, until, risk = [], type = [] } = options;
  const risks: readonly string[] = riskLevels;
  for (const level of risk) {
    if (!risks.includes(level)) {
      throw usageError(`--risk ${level} is no risk level. Accepted: ${risks.join(', ')}`);
    }
  }
  for (const name of type) {
    if (!isEventType(name) && !/^log\.[a-z_.]+$/.test(name)) {
      throw usageError(
        `--type ${name} is no event type. Accepted: ${eventTypes.join(', ')}, log.NAME, or your own NAME.NAME`,
      );
    }
  }
  if (since !== undefined && until !== undefined && since > until) {
    throw usageError('--since is later than --until, so nothing can match');
  }
  return {
    users: options.user ?? [],
    risks: risk,
    types: type,
    tools: options.tool ?? [],
    sessions: options.session ?? [],
    sinceMs: since,
    untilMs: until,
    violationsOnly: options.violationsOnly ?? false,
  };
}
