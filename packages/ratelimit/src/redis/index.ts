export type { IoredisLike, NodeRedisLike, RedisClient } from './client.js';
export type { EvictionOptions } from './eviction-guard.js';
export type {
  RedisGrant,
  RedisReservation,
  RedisReserved,
  RedisSettled,
  RedisTaken,
} from './grants.js';
export type { LeaseOptions } from './lease-term.js';
export { LeasedLimiter, type LeasedLimiterOptions } from './leased-limiter.js';
export { RedisLimiter } from './redis-limiter.js';
export type { RedisLimiterOptions, RequestOptions } from './redis-options.js';
export { StoreFailure } from './store-failure.js';
export type { OnStoreFailure, RedisLimit } from './term.js';
