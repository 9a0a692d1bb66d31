import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import * as forExpress from '../express/index.js';
import * as forFastify from '../fastify/index.js';
import * as forHono from '../hono/index.js';
import type { HttpLimitOptions } from '../http/options.js';
import * as forNode from '../node-http/index.js';
import type { LimitRequest } from '../request.js';

/** The options that need to know nothing of a framework's requests; `asks` makes a request of the field `X-User`. */
export interface AdapterOptions
  extends Omit<HttpLimitOptions<never>, 'requestOf' | 'skip' | 'refuse' | 'addressOf'> {
  readonly asks?: (user: string | undefined, client: string) => LimitRequest;
  readonly skips?: (user: string | undefined) => boolean;
  readonly refuses?: () => { status: number; contentType: string; body: string };
}

export interface Served {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** What handles the requests that are let in. */
export type Handler = () => string | Promise<string>;

export interface Adapter {
  readonly name: string;
  /** Listens on loopback, with one middleware for each of the options, the outermost first. */
  listen(options: readonly AdapterOptions[], handler: Handler): Promise<Served>;
}

/** The same options for a framework, whose requests have their fields read by `field`. */
function optionsFor<Request>(
  { asks, skips, refuses, ...options }: AdapterOptions,
  field: (request: Request, name: string) => string | undefined,
): HttpLimitOptions<Request> {
  return {
    ...options,
    ...(asks && { requestOf: (request, client) => asks(field(request, 'x-user'), client) }),
    ...(skips && { skip: (request) => skips(field(request, 'x-user')) }),
    ...(refuses && { refuse: refuses }),
  };
}

function fieldOfNode({ headers }: { headers: http.IncomingHttpHeaders }, name: string) {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

async function served(server: http.Server): Promise<Served> {
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    port,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

const nodeHttp: Adapter = {
  name: 'node:http',
  listen: async (all, handler) => {
    let inner: forNode.NodeHandler = async (_request, response) => {
      response.end(await handler());
    };
    for (const options of [...all].reverse()) {
      inner = forNode.rateLimit(optionsFor(options, fieldOfNode), inner);
    }
    return served(http.createServer(inner).listen(0, '127.0.0.1'));
  },
};

const expressAdapter: Adapter = {
  name: 'Express',
  listen: async (all, handler) => {
    const app = express();
    for (const options of all) app.use(forExpress.rateLimit(optionsFor(options, fieldOfNode)));
    app.get('/', async (_request, response) => {
      response.end(await handler());
    });
    return served(app.listen(0, '127.0.0.1'));
  },
};

const fastifyAdapter: Adapter = {
  name: 'Fastify',
  listen: async (all, handler) => {
    const app = fastify();
    for (const options of all) {
      app.addHook('onRequest', forFastify.rateLimit(optionsFor(options, fieldOfNode)));
    }
    app.get('/', async () => await handler());
    await app.listen({ port: 0, host: '127.0.0.1' });
    return served(app.server);
  },
};

const honoAdapter: Adapter = {
  name: 'Hono',
  listen: async (all, handler) => {
    const app = new Hono();
    for (const options of all) {
      app.use(forHono.rateLimit(optionsFor(options, (context, name) => context.req.header(name))));
    }
    app.get('/', async (context) => context.text(await handler()));
    return served(serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as http.Server);
  },
};

export const adapters: readonly Adapter[] = [nodeHttp, expressAdapter, fastifyAdapter, honoAdapter];
