export type { HttpLimitOptions, RefusalBody } from '../http/options.js';
export { rateLimit } from './rate-limit.js';
