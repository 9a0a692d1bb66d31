export { type ClientKeyOptions, clientKeys, type RequestOrigin } from './client-keys.js';
export { type Connection, nodeConnection, OpenConnection } from './connection.js';
export type { Fields } from './fields.js';
export { HttpLimit, type Verdict } from './http-limit.js';
export type { HttpLimitOptions, RefusalBody } from './options.js';
export { type Policy, policiesOf, policyField, policyName } from './policy.js';
export { type Problem, problemOf } from './problem.js';
export type { Admission, Answer, RequestLimiter } from './request-limiter.js';
