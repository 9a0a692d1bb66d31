export { type Clock, systemClock } from './clock.js';
export type { LimitCounters } from './counters.js';
export type { Decision, Grant, Refusal } from './decision.js';
export { RateLimitError, type RateLimitErrorCode } from './errors.js';
export type { LimitEvent, LimitListener } from './events.js';
export {
  type CalendarPeriod,
  type ConcurrencyLimit,
  type Cost,
  type Limit,
  parseRate,
  type QuotaLimit,
  type Rate,
  type RateLimit,
} from './limit.js';
export { Limiter, type LimiterOptions, type TakeOptions, type WaitOptions } from './limiter.js';
export { ManualClock } from './manual-clock.js';
export type { Reason } from './meter.js';
export { checkLimits } from './meters.js';
export {
  keyMaker,
  type LimitRequest,
  type Member,
  members,
  requestOf,
  type Scope,
} from './request.js';
export type { Reservation, Reserved, Settled } from './reservation.js';
export type { Snapshot } from './snapshot.js';
