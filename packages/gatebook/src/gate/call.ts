import { createHash } from 'node:crypto';
import type { Actor, AuditEvent } from '@gatebook/audit';
import type { ToolAnnotations } from '@gatebook/policy';
import type { Asker } from './asker.js';
import { marked, readJson, unmarked } from './exact-json.js';
import type { ToolPin } from './pin.js';

/** A call on its way to a tool. */
export interface GateCall {
  readonly actor: Actor;
  readonly sessionId: string;
  /** The MCP server that has the tool. */
  readonly server?: string | undefined;
  /** What the server is, whatever it calls itself: the name that the operator gave it, or its command's. An approval is for this one. */
  readonly serverIdentity?: string | undefined;
  /** The tool's name, `exec` for a program; `resources/read`, `prompts/get`, … for what is no tool. */
  readonly name: string;
  /** Whether limits of tools count it. Programs are tools too. */
  readonly isTool: boolean;
  readonly arguments: unknown;
  /** Where `arguments` has the text of numbers that a double does not hold: the same as canonical JSON, with these as numbers. */
  readonly exactArguments?: string | undefined;
  /** What must be recorded before it is made; the gate adds what it found. */
  readonly intent: AuditEvent;
  readonly annotations?: ToolAnnotations | undefined;
  /** Looks whether the tool is what it was; undefined, at once where that is known, when it is, or nothing is known of it. */
  readonly pin?: (() => Promise<ToolPin | undefined> | undefined) | undefined;
  /** Asks the person behind this call, in the place of the gate's own asker. */
  readonly ask?: Asker | undefined;
  /** Aborted when it is given up. */
  readonly signal: AbortSignal;
  /** Called when a person is asked, and nothing else should wait for this call. */
  readonly onHold?: (() => void) | undefined;
  /** Called right before its intent is recorded: from then on it is not given up without an outcome. */
  readonly onIntent?: (() => void) | undefined;
}

/** `server/tool`, as policies and people call it. */
export function nameOf({ server, name }: GateCall): string {
  return server === undefined ? name : `${server}/${name}`;
}

/** Who calls, as one text that differs for different people. */
export function actorOf({ channel, userId, agent }: Actor): string {
  return JSON.stringify([channel ?? null, userId ?? null, agent ?? null]);
}

/** Arguments as JSON says them, with every digit. */
export function argumentsFrom(text: string): Pick<GateCall, 'arguments' | 'exactArguments'> {
  const { value, exact } = readJson(text);
  return exact
    ? { arguments: value }
    : { arguments: value, exactArguments: unmarked(canonical(marked(text))) };
}

/** The arguments as JSON for who is to judge them. */
export function shownArguments(call: GateCall): string {
  return call.exactArguments ?? (JSON.stringify(call.arguments) as string | undefined) ?? '';
}

/** Hex SHA-256 of the arguments, equal for arguments that say the same in another order of their members. */
export function argumentsDigest(call: GateCall): string {
  return sha256(call.exactArguments ?? canonical(call.arguments));
}

/** Hex SHA-256 of a JSON value, equal for values that say the same. */
export function digestOf(value: unknown): string {
  return sha256(canonical(value));
}

/** The same of a value that was read with marks. */
export function digestOfMarked(value: unknown): string {
  return sha256(unmarked(canonical(value)));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** JSON with members sorted, after the idea of RFC 8785; only ever compared with itself. */
function canonical(value: unknown): string {
  const text = JSON.stringify(value, (_name, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  }) as string | undefined;
  return text ?? 'undefined';
}
