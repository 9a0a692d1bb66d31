import { createHash } from 'node:crypto';
import type { ToolAnnotations } from '@gatebook/policy';
import { digestOfMarked } from '../gate/call.js';
import { marked } from '../gate/exact-json.js';
import { nameBytesMax } from './bounds.js';
import { innerMembers, rawText, stringValue } from './json-member.js';
import { guard, mistakenFor } from './member-name.js';
import type { Answer } from './server-line.js';

export interface ListedTool {
  /** Hex SHA-256 of all that the server says of it. */
  readonly hash: string;
  readonly annotations: ToolAnnotations;
}

/** One page of a server's tools. */
export interface ToolPage {
  readonly tools: ReadonlyMap<string, ListedTool>;
  readonly nextCursor: string | undefined;
}

const topGuard = guard(['result', 'error', 'id']);
const pageGuard = guard(['tools', 'nextCursor']);
const toolGuard = guard(['name']);

/**
 * Reads the answer to a `tools/list`, or says why a client may read another list than the gate does. Undefined where it is no list at
 * all, as with an error.
 */
export function readToolPage(answer: Answer): ToolPage | { readonly fault: string } | undefined {
  const { top } = answer;
  const fault = answer.fault ?? variantIn(top.byName.keys(), topGuard);
  if (fault !== undefined) return { fault };
  if (top.byName.has('error')) {
    // Some clients go by the one, some by the other, and to many an error that is null is none.
    return top.byName.has('result') ? { fault: 'a result and an error in one answer' } : undefined;
  }
  const result = innerMembers(top, 'result');
  if (result === undefined) return undefined;
  const variant = variantIn(result.byName.keys(), pageGuard);
  if (variant !== undefined) return { fault: variant };
  const shown: unknown = marked(rawText(result, 'tools') ?? '[]');
  if (!Array.isArray(shown)) return { fault: '"tools" is no list' };
  const tools = new Map<string, ListedTool>();
  for (const tool of shown as unknown[]) {
    if (!isRecord(tool)) continue;
    const fault = variantIn(Object.keys(tool), toolGuard);
    if (fault !== undefined) return { fault };
    const { name } = tool;
    // One with a longer name cannot be called.
    if (typeof name !== 'string' || Buffer.byteLength(name) > nameBytesMax) continue;
    const before = tools.get(name);
    const hash = digestOfMarked(tool);
    tools.set(name, {
      // Of two tools with one name a client may take either.
      hash: before === undefined ? hash : sha256(before.hash + hash),
      annotations: annotationsIn(tool['annotations']),
    });
  }
  return { tools, nextCursor: stringValue(result, 'nextCursor') };
}

/**
 * Whether some client could take a line for a list of tools that nothing was found in: it may write the names in another case or with
 * escapes, and not be JSON at all, as with a `NaN` in it.
 */
export function mayHoldTools(line: Buffer): boolean {
  const text = line.toString('latin1');
  return text.includes('{') && /result|\\u/i.test(text) && /tools|\\u/i.test(text);
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function variantIn(
  names: Iterable<string>,
  guarded: ReadonlyMap<string, string>,
): string | undefined {
  for (const name of names) {
    const meant = mistakenFor(name, guarded);
    if (meant !== undefined) {
      return `member ${JSON.stringify(name.slice(0, 100))} could be taken for "${meant}"`;
    }
  }
  return undefined;
}

const hints = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'] as const;

function annotationsIn(value: unknown): ToolAnnotations {
  const annotations: ToolAnnotations = {};
  if (!isRecord(value)) return annotations;
  for (const hint of hints) {
    const said = value[hint];
    if (typeof said === 'boolean') annotations[hint] = said;
  }
  return annotations;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
