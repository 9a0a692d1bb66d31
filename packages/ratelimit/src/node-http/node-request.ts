import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestOrigin } from '../http/client-keys.js';
import { type Fields, fieldAfter } from '../http/fields.js';
import type { Verdict } from '../http/http-limit.js';

export function originOfNode(request: IncomingMessage): RequestOrigin {
  return {
    address: request.socket?.remoteAddress,
    field: (name) => request.headers[name],
  };
}

/** Sends the fields of a request that was let in, or the answer to one that was not. Returns whether the request goes on. */
export function applyToNode(response: ServerResponse, verdict: Verdict): boolean {
  if (verdict.kind === 'gone' || response.headersSent) return false;
  setFields(response, verdict.fields);
  if (verdict.kind === 'pass') return true;
  response.statusCode = verdict.status;
  response.end(verdict.body);
  return false;
}

function setFields(response: ServerResponse, fields: Fields): void {
  for (const [name, value] of fields) {
    response.setHeader(name, fieldAfter(response.getHeader(name), name, value));
  }
}
