export type { IoredisLike, NodeRedisLike, RedisClient } from './client.js';
export type {
  RedisGrant,
  RedisReservation,
  RedisReserved,
  RedisSettled,
  RedisTaken,
} from './grants.js';
export type { LeaseOptions } from './lease-term.js';
export { LeasedLimiter, type LeasedLimiterOptions } from './leased-limiter.js';
export { RedisLimiter, type RedisLimiterOptions, type RequestOptions } from './redis-limiter.js';
export { StoreFailure } from './store-failure.js';
export type { OnStoreFailure, RedisLimit } from './term.js';
