import type { AuditEvent } from '@gatebook/audit';
import { refusedPreviewBytes } from './bounds.js';
import type { ClientMessage, Refusal, RequestId } from './client-line.js';
import { newerEra, type Session } from './session.js';

/** The JSON-RPC code of "this could not be recorded", from the range left to implementations. */
export const notRecordedCode = -32010;
/** The JSON-RPC code of "too much is pending". */
export const tooManyCode = -32011;
/** The JSON-RPC code of "a rate limit refuses this". */
export const limitedCode = -32012;
/** The JSON-RPC code of "the policy, a person or the breaker refuses this". */
export const deniedCode = -32013;

/** The record of something from the client that was not forwarded. */
export function refusedEvent(
  session: Session,
  rule: 'mcp.client_line' | 'mcp.pending_bound' | 'mcp.id_in_use' | 'mcp.request_state',
  reason: string,
  line: Buffer,
  bytes = line.length,
): AuditEvent {
  return {
    eventType: 'security_event',
    actor: session.actor(),
    sessionId: session.id,
    source: session.source,
    action: {
      allowed: false,
      // As a JSON string of its own: the line may be anything but JSON.
      arguments: line.toString('utf8', 0, refusedPreviewBytes).trimEnd().toWellFormed(),
    },
    result: { success: false, status: 'refused' },
    security: { policyViolation: true, rule, reason },
    details: { direction: 'client_to_server', line_bytes: bytes },
  };
}

/** The record of an answer that reached the client and that no request waited for. */
export function unexpectedEvent(
  session: Session,
  keys: readonly string[],
  bytes: number,
  last: boolean,
): AuditEvent {
  return {
    eventType: 'security_event',
    sessionId: session.id,
    source: session.source,
    security: {
      rule: 'mcp.unexpected_answer',
      reason: last
        ? 'the server answered what nobody asked; further ones of this run are not recorded'
        : 'the server answered what nobody asked',
    },
    details: {
      direction: 'server_to_client',
      jsonrpc_id: (keys[0] ?? '').slice(0, 200).toWellFormed(),
      line_bytes: bytes,
    },
  };
}

/** The record of something between the peers that was not passed on, or of which no use was made. */
export function droppedEvent(
  session: Session,
  rule: 'mcp.reserved_id' | 'mcp.elicitation_answer',
  reason: string,
  line: Buffer,
  last: boolean,
): AuditEvent {
  const fromServer = rule === 'mcp.reserved_id';
  return {
    eventType: 'security_event',
    ...(fromServer ? {} : { actor: session.actor() }),
    sessionId: session.id,
    source: session.source,
    action: {
      allowed: false,
      arguments: line.toString('utf8', 0, refusedPreviewBytes).trimEnd().toWellFormed(),
    },
    security: {
      policyViolation: fromServer,
      rule,
      reason: last ? `${reason}; further ones of this run are not recorded` : reason,
    },
    details: {
      direction: fromServer ? 'server_to_client' : 'client_to_server',
      line_bytes: line.length,
    },
  };
}

/** A JSON-RPC error as a line. */
export function errorLine(id: RequestId | undefined, code: number, message: string): Buffer {
  const error = JSON.stringify({ code, message });
  return Buffer.from(`{"jsonrpc":"2.0","id":${id?.text ?? 'null'},"error":${error}}\n`);
}

export function refusalLine(refusal: Refusal): Buffer {
  return errorLine(
    refusal.id,
    refusal.code,
    `gatebook did not forward this line: ${refusal.reason}`,
  );
}

/**
 * Says that a call was not made. For a tool it is a result that the model gets to read, for other methods a JSON-RPC
 * error.
 */
export function notMadeLine(
  request: Extract<ClientMessage, { kind: 'request' }>,
  code: number,
  why: string,
): Buffer {
  const text = `gatebook did not make this call: ${why}`;
  if (request.method !== 'tools/call') return errorLine(request.id, code, text);
  const result = JSON.stringify({
    ...(newerEra(request.params) === undefined ? {} : { resultType: 'complete' }),
    content: [{ type: 'text', text }],
    isError: true,
  });
  return Buffer.from(`{"jsonrpc":"2.0","id":${request.id.text},"result":${result}}\n`);
}
