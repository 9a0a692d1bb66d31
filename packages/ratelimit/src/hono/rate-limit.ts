import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context, MiddlewareHandler } from 'hono';
import { type Connection, nodeConnection, OpenConnection } from '../http/connection.js';
import { fieldAfter } from '../http/fields.js';
import { HttpLimit, type Verdict } from '../http/http-limit.js';
import type { HttpLimitOptions } from '../http/options.js';

/** What `@hono/node-server` puts into the context's `env`. */
interface NodeBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/**
 * A middleware for `app.use`. With `@hono/node-server` it knows the connection; elsewhere give `addressOf`, and a request has ended
 * when the body of its response has been read or given up.
 *
 * @throws RateLimitError `bad_option`
 */
export function rateLimit(options: HttpLimitOptions<Context>): MiddlewareHandler {
  const limit = new HttpLimit(options, (context: Context) => ({
    address: nodeOf(context)?.incoming.socket?.remoteAddress,
    field: (name) => context.req.header(name),
  }));
  return async (context, next) => {
    const node = nodeOf(context);
    if (node !== undefined) {
      const verdict = await limit.decide(context, nodeConnection(node.incoming, node.outgoing));
      return await go(context, verdict, next);
    }
    const connection = new OpenConnection();
    const { signal } = context.req.raw;
    if (signal.aborted) connection.close();
    signal.addEventListener('abort', connection.close, { once: true });
    connection.onClose(() => signal.removeEventListener('abort', connection.close));
    return await goWithout(context, await limit.decide(context, connection), next, connection);
  };
}

function nodeOf({ env }: Context): NodeBindings | undefined {
  const { incoming, outgoing } = (env ?? {}) as Partial<NodeBindings>;
  return incoming === undefined || outgoing === undefined ? undefined : { incoming, outgoing };
}

async function go(
  context: Context,
  verdict: Verdict,
  next: () => Promise<void>,
): Promise<Response | undefined> {
  // Nobody reads it, but Hono wants a response.
  if (verdict.kind === 'gone') return new Response(null, { status: 499 });
  if (verdict.kind === 'reply') {
    const headers = new Headers(verdict.fields.map(([name, value]) => [name, value]));
    return new Response(verdict.body, { status: verdict.status, headers });
  }
  await next();
  for (const [name, value] of verdict.fields) {
    context.header(name, fieldAfter(context.res.headers.get(name), name, value));
  }
  return undefined;
}

/** Without a Node connection: the end of the body is the end of the request. */
async function goWithout(
  context: Context,
  verdict: Verdict,
  next: () => Promise<void>,
  connection: OpenConnection,
): Promise<Response | undefined> {
  try {
    const answer = await go(context, verdict, next);
    if (answer !== undefined || context.res.body === null) {
      connection.close();
      return answer;
    }
    const { body } = context.res;
    context.res = new Response(closingAtEnd(body, connection), context.res);
    return undefined;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function closingAtEnd(
  body: ReadableStream<Uint8Array>,
  { close }: Connection & { readonly close: () => void },
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        close();
        controller.close();
      } catch (error) {
        close();
        controller.error(error);
      }
    },
    async cancel(reason) {
      close();
      await reader.cancel(reason);
    },
  });
}
