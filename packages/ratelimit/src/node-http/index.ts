export type { HttpLimitOptions, RefusalBody } from '../http/options.js';
export { type NodeHandler, rateLimit } from './rate-limit.js';
