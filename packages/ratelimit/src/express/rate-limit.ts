import type { Request, RequestHandler } from 'express';
import { nodeConnection } from '../http/connection.js';
import { HttpLimit } from '../http/http-limit.js';
import type { HttpLimitOptions } from '../http/options.js';
import { applyToNode, originOfNode } from '../node-http/node-request.js';

/**
 * A middleware for `app.use` or one route. Express's own `trust proxy` plays no part in it.
 *
 * @throws RateLimitError `bad_option`
 */
export function rateLimit(options: HttpLimitOptions<Request>): RequestHandler {
  const limit = new HttpLimit(options, originOfNode);
  return async (request, response, next) => {
    const verdict = await limit.decide(request, nodeConnection(request, response));
    if (applyToNode(response, verdict)) next();
  };
}
