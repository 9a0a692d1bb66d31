/** What may be said: the events a caller hands in, before they become the bytes of a record. */

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined };

export type JsonObject = { readonly [name: string]: JsonValue | undefined };

export type RiskLevel = 'low' | 'medium' | 'high' | 'critical';
export const riskLevels: readonly RiskLevel[] = ['low', 'medium', 'high', 'critical'];

/** The built-in event types of tools and gates; docs/format.md §3. */
export const eventTypes = [
  'command_execution',
  'tool_execution',
  'file_access',
  'config_change',
  'auth_success',
  'auth_failure',
  'auth_login',
  'auth_logout',
  'auth_refresh',
  'policy_violation',
  'security_event',
  'rate_limit_hit',
  'ssrf_block',
  'injection_block',
] as const;

export type BuiltInEventType = (typeof eventTypes)[number];
/** A built-in type, or the caller's own: `acme.deploy` (lower case, at least one dot, not beginning with `log.`). */
export type EventType = BuiltInEventType | `${string}.${string}`;

/** Stands for content that is not in the line; docs/format.md §2.1. */
export interface Commitment {
  readonly preview?: string;
  /** Hex SHA-256 of salt ‖ content. */
  readonly sha256: string;
  /** Length of the content in bytes. */
  readonly bytes: number;
  readonly ref: string;
}

export interface Actor {
  readonly channel?: string | undefined;
  readonly userId?: string | undefined;
  readonly username?: string | undefined;
  readonly agent?: string | undefined;
  readonly ip?: string | undefined;
}

export interface Action {
  /** `intent` before the call is made, `outcome` after it. */
  readonly phase?: 'intent' | 'outcome' | undefined;
  readonly tool?: string | undefined;
  readonly command?: string | undefined;
  readonly resource?: string | undefined;
  /** Any JSON value; kept as JSON text. Give this or `argumentsText`, not both. */
  readonly arguments?: JsonValue | undefined;
  /** JSON text as it came over a wire, kept as it is. */
  readonly argumentsText?: string | undefined;
  readonly riskLevel?: RiskLevel | undefined;
  readonly approved?: boolean | undefined;
  readonly allowed?: boolean | undefined;
  /** The `callId` of an earlier call that this one carries on. */
  readonly continues?: string | undefined;
}

export interface Result {
  readonly success?: boolean | undefined;
  /** What became of the call, a short word: `ok`, `error`, `cancelled`, `server_died`, `refused`, … */
  readonly status?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly durationMs?: number | undefined;
  readonly error?: string | undefined;
  /** Any JSON value; kept as JSON text. Give this or `outputText`, not both. */
  readonly output?: JsonValue | undefined;
  readonly outputText?: string | undefined;
}

export interface Security {
  readonly policyViolation?: boolean | undefined;
  readonly rule?: string | undefined;
  readonly reason?: string | undefined;
  readonly rateLimitRemaining?: number | undefined;
  readonly sandbox?: string | undefined;
  /** Guards the operator's config switched off or allowed to be missing. */
  readonly notEnforced?: readonly string[] | undefined;
}

export interface Trace {
  /** 32 hex digits (W3C trace context). */
  readonly traceId?: string | undefined;
  /** 16 hex digits. */
  readonly spanId?: string | undefined;
}

/** One event. Only `eventType` is required; what does not apply is left out. */
export interface AuditEvent {
  readonly eventType: EventType;
  /** RFC 3339 or a Date; default: now. */
  readonly timestamp?: string | Date | undefined;
  /** `evt_` + UUID; default: a new UUIDv7. */
  readonly eventId?: string | undefined;
  /** Default: the log's `emitter` option. */
  readonly emitter?: string | undefined;
  readonly actor?: Actor | undefined;
  readonly sessionId?: string | undefined;
  readonly callId?: string | undefined;
  readonly source?: string | undefined;
  readonly action?: Action | undefined;
  readonly result?: Result | undefined;
  readonly security?: Security | undefined;
  readonly details?: JsonObject | undefined;
  readonly trace?: Trace | undefined;
}

const ownTypePattern = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/;
const builtIn: ReadonlySet<string> = new Set(eventTypes);

/** Whether callers may use this event type: built in, or their own under the stated pattern. */
export function isEventType(type: string): type is EventType {
  if (builtIn.has(type)) return true;
  return type.length <= 64 && ownTypePattern.test(type) && !type.startsWith('log.');
}
