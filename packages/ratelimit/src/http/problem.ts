import type { Refusal } from '../decision.js';
import { retryAfterS } from './fields.js';
import { policyName } from './policy.js';

/** Problem details, RFC 9457, sent as `application/problem+json`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string | undefined;
  /** Names of policies, written as in the fields. */
  readonly 'violated-policies'?: readonly string[] | undefined;
}

const registry = 'https://iana.org/assignments/http-problem-types';

/**
 * `quota-exceeded` with 429. When there is no room to remember a new key, the client has exceeded nothing: that is
 * `temporary-reduced-capacity` with 503. Both are in draft-ietf-httpapi-ratelimit-headers-11, section 5.
 */
export function problemOf(refusal: Refusal): Problem {
  const violated = refusal.by === '' ? [] : [policyName(refusal.by)];
  const isFull = refusal.reason === 'keys';
  return {
    type: `${registry}#${isFull ? 'temporary-reduced-capacity' : 'quota-exceeded'}`,
    title: isFull ? 'Temporary Reduced Capacity' : 'Quota Exceeded',
    status: isFull ? 503 : 429,
    detail: detailOf(refusal),
    'violated-policies': violated,
  };
}

/** The limiter itself did not answer: nothing about the client. `about:blank` says no more than the status does. */
export const unavailable: Problem = {
  type: 'about:blank',
  title: 'Service Unavailable',
  status: 503,
};

/** Something of the server's own is wrong: what it makes of a request, not the limiter. */
export const serverError: Problem = {
  type: 'about:blank',
  title: 'Internal Server Error',
  status: 500,
};

function detailOf(refusal: Refusal): string {
  const limit = `The limit ${JSON.stringify(refusal.by)}`;
  if (refusal.reason === 'never')
    return `${limit} has room for ${refusal.limit} at most, and this request costs more: it can never be let in.`;
  const seconds = retryAfterS(refusal);
  const when = seconds === undefined ? 'try again later' : `try again in ${seconds} s`;
  if (refusal.reason === 'blocked') return `${limit} is blocked for this client; ${when}.`;
  if (refusal.reason === 'keys') return `${limit} has no room for one more client; ${when}.`;
  if (refusal.reason === 'waiting') return `Too many requests wait already; ${when}.`;
  if (refusal.reason === 'queue') return `Others wait for ${limit.replace('The', 'the')}; ${when}.`;
  return `${limit} is used up; ${when}.`;
}
