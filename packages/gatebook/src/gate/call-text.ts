import { displayWidth } from '../cli/display-width.js';
import { visible } from '../cli/visible.js';
import { otherRules } from './asked-rules.js';
import { spanText } from './events.js';
import { marked, unmarked } from './exact-json.js';
import type { Pending } from './state/approvals.js';

/** What a person is told of a call that waits for an answer. */
export type ShownCall = Omit<Pending, 'askedMs'> & { readonly askedMs?: number | undefined };

const widthMin = 40;
const widthDefault = 80;

/**
 * The whole call, for a terminal of that many columns, as far as it says. Nothing in it can act on the terminal or pass for another line: what a terminal
 * would not show stands as an escape, and each row of the arguments has a bar before it. The arguments come first, so that what they are
 * for stays in sight however long they are.
 */
export function callText(
  call: ShownCall,
  width: number | undefined,
  nowMs: number = Date.now(),
): string {
  // Some terminals have no columns.
  const room = Math.max(widthMin, width || widthDefault);
  const age =
    call.askedMs === undefined ? '' : `, ${spanText(Math.max(0, nowMs - call.askedMs))} ago`;
  const facts: readonly (readonly [string, string])[] = [
    ['approval', call.id],
    ['tool', call.tool],
    ...(call.server === '' ? [] : [['server', call.server] as const]),
    ['actor', actorText(call.actor)],
    ['session', call.session],
    ['rule', call.rule],
    ...otherRules(call).map((rule) => ['rule', rule] as const),
    ['risk', call.risk],
    ...call.reasons.map((reason) => ['reason', reason] as const),
    ['asked by', `process ${call.pid}${age}`],
    ['arguments', argumentsText(call)],
  ];
  const lines = [
    ...rows(argumentLines(call.text), room, '  | '),
    ...facts.flatMap(([name, text]) => factRows(name, text, room)),
  ];
  return `${lines.join('\n')}\n`;
}

/** Who calls, as `actorOf` says it, for people. */
export function actorText(actor: string): string {
  try {
    const members: unknown = JSON.parse(actor);
    if (!Array.isArray(members)) return actor;
    const [channel, userId, agent] = members as unknown[];
    const named = [
      ['user', userId],
      ['agent', agent],
      ['channel', channel],
    ].flatMap(([name, value]) => (typeof value === 'string' ? [`${String(name)} ${value}`] : []));
    return named.length === 0 ? 'nobody named' : named.join(', ');
  } catch {
    return actor;
  }
}

function argumentsText({ text, bytes, digest }: ShownCall): string {
  const shown = Buffer.byteLength(text);
  const cut = shown < bytes ? `, of which only the first ${shown} are shown above` : '';
  return `${bytes} bytes, SHA-256 ${digest}${cut}`;
}

/** Indented where they are whole; else as far as they go. */
function argumentLines(text: string): string[] {
  try {
    return unmarked(JSON.stringify(marked(text), null, 2)).split('\n');
  } catch {
    return text === '' ? ['(none)'] : text.split('\n');
  }
}

const nameWidth = 11;

function factRows(name: string, text: string, width: number): string[] {
  const [first = '', ...rest] = pieces(visible(text), width - nameWidth);
  const indent = ' '.repeat(nameWidth - 2);
  return [`${name.padEnd(nameWidth)}${first}`, ...rest.map((piece) => `${indent}| ${piece}`)];
}

function rows(lines: readonly string[], width: number, bar: string): string[] {
  return lines.flatMap((line) =>
    pieces(visible(line), width - bar.length).map((piece) => `${bar}${piece}`),
  );
}

/** Text in pieces of at most `width` columns. */
function pieces(text: string, width: number): string[] {
  const all: string[] = [];
  let piece = '';
  let used = 0;
  for (const character of text) {
    const taken = displayWidth(character);
    if (used + taken > width) {
      all.push(piece);
      piece = '';
      used = 0;
    }
    piece += character;
    used += taken;
  }
  return [...all, piece];
}
