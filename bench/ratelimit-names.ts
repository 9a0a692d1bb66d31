/** Who is measured in the questions about rate limits. */
export const names = {
  own: 'gatebook',
  hand: 'hand-written GCRA',
  limiter: 'limiter',
  flexible: 'rate-limiter-flexible',
  fastify: '@fastify/rate-limit store',
  queue: 'p-queue',
} as const;
