import type { FastifyReply, FastifyRequest } from 'fastify';
import { nodeConnection } from '../http/connection.js';
import { fieldAfter } from '../http/fields.js';
import { HttpLimit } from '../http/http-limit.js';
import type { HttpLimitOptions } from '../http/options.js';
import { originOfNode } from '../node-http/node-request.js';

export type FastifyRateLimit = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

/**
 * A hook for `app.addHook('onRequest', …)` or a route's `onRequest`; `preHandler` if `requestOf` needs to know the user. Fastify's own
 * `trustProxy` plays no part in it.
 *
 * @throws RateLimitError `bad_option`
 */
export function rateLimit(options: HttpLimitOptions<FastifyRequest>): FastifyRateLimit {
  const limit = new HttpLimit(options, ({ raw }: FastifyRequest) => originOfNode(raw));
  return async (request, reply) => {
    const verdict = await limit.decide(request, nodeConnection(request.raw, reply.raw));
    if (verdict.kind === 'gone') {
      // Nothing is sent, and the handler is not called.
      reply.hijack();
      return reply;
    }
    for (const [name, value] of verdict.fields) {
      reply.header(name, fieldAfter(reply.getHeader(name), name, value));
    }
    if (verdict.kind === 'pass') return undefined;
    // As bytes: to a text Fastify adds a charset, which JSON has none of.
    return reply.code(verdict.status).send(Buffer.from(verdict.body));
  };
}
