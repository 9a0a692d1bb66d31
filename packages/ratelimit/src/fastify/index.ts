export type { HttpLimitOptions, RefusalBody } from '../http/options.js';
export { type FastifyRateLimit, rateLimit } from './rate-limit.js';
