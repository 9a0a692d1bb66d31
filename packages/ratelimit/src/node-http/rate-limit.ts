import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { nodeConnection } from '../http/connection.js';
import { HttpLimit } from '../http/http-limit.js';
import type { HttpLimitOptions } from '../http/options.js';
import { applyToNode, originOfNode } from './node-request.js';

export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

/**
 * A listener for `http.createServer` that calls the handler for requests that are let in, and answers the others.
 *
 * @throws RateLimitError `bad_option`
 */
export function rateLimit(
  options: HttpLimitOptions<IncomingMessage>,
  handler: NodeHandler,
): RequestListener {
  const limit = new HttpLimit(options, originOfNode);
  return async (request, response) => {
    const verdict = await limit.decide(request, nodeConnection(request, response));
    if (applyToNode(response, verdict)) await handler(request, response);
  };
}
