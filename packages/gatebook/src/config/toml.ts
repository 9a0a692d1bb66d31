import { isUtf8 } from 'node:buffer';
import { type AST, ParseError, parseTOML } from 'toml-eslint-parser';
import type { Fault, Place } from './fault.js';

/** A value of a TOML text that knows where it stands. */
export interface Node {
  /** Of the key that names it. */
  readonly keyPlace: Place;
  readonly place: Place;
  readonly content:
    | { readonly kind: 'plain'; readonly value: string | number | bigint | boolean | Date }
    | { readonly kind: 'list'; readonly items: readonly Node[] }
    | { readonly kind: 'table'; readonly members: Map<string, Node> };
}

export type Parsed = { readonly root: Node } | { readonly fault: Fault };

/** Reads a text as TOML 1.0. The fault is the first: a text that is no TOML says nothing behind it. */
export function readToml(source: string, bytes: Buffer): Parsed {
  if (!isUtf8(bytes)) {
    const message = 'the bytes here are not UTF-8, which TOML has to be';
    return { fault: { source, place: firstBroken(bytes), message } };
  }
  try {
    const program = parseTOML(bytes.toString('utf8'), { tomlVersion: '1.0' });
    return { root: treeOf(program.body[0]) };
  } catch (error) {
    if (error instanceof ParseError) {
      const place = { line: error.lineNumber, column: error.column + 1 };
      return { fault: { source, place, message: lowered(error.message) } };
    }
    // Brackets in brackets, until the stack is used up.
    if (!(error instanceof RangeError)) throw error;
    const message = 'its values are nested too deep';
    return { fault: { source, place: start, message } };
  }
}

const start: Place = { line: 1, column: 1 };

function lowered(message: string): string {
  return message.slice(0, 1).toLowerCase() + message.slice(1);
}

function firstBroken(bytes: Buffer): Place {
  let line = 1;
  let from = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, from)) {
    if (!isUtf8(bytes.subarray(from, end))) break;
    line++;
    from = end + 1;
  }
  const text = bytes.subarray(from).toString('utf8');
  return { line, column: Math.max(0, text.indexOf('\ufffd')) + 1 };
}

type Table = Map<string, Node>;

function tableNode(keyPlace: Place, place: Place = keyPlace): { node: Node; members: Table } {
  const members: Table = new Map();
  return { node: { keyPlace, place, content: { kind: 'table', members } }, members };
}

/** Tables and dotted keys joined to one tree; the parser has refused what is said twice. */
function treeOf(top: AST.TOMLTopLevelTable): Node {
  const { node, members } = tableNode(start);
  for (const part of top.body) {
    if (part.type === 'TOMLKeyValue') take(members, part);
    else takeTable(members, part);
  }
  return node;
}

function takeTable(root: Table, table: AST.TOMLTable): void {
  const place = placeOf(table.key);
  const names = table.key.keys.map(nameOf);
  const last = names.pop()!;
  const parent = walk(root, names, table.key.keys.map(placeOf));
  const lastPlace = placeOf(table.key.keys.at(-1)!);
  let members: Table;
  if (table.kind === 'array') {
    const made = tableNode(lastPlace, place);
    members = made.members;
    const before = parent.get(last)?.content;
    const items = before?.kind === 'list' ? before.items : [];
    const content = { kind: 'list', items: [...items, made.node] } as const;
    parent.set(last, { keyPlace: lastPlace, place, content });
  } else {
    members = walk(parent, [last], [lastPlace]);
  }
  for (const part of table.body) take(members, part);
}

/** The table at the end of a path; of a list of tables it is the newest that is meant. */
function walk(from: Table, names: readonly string[], places: readonly Place[]): Table {
  let at = from;
  for (const [index, name] of names.entries()) {
    let content = at.get(name)?.content;
    if (content?.kind === 'list') content = content.items.at(-1)?.content;
    if (content?.kind === 'table') {
      at = content.members;
      continue;
    }
    const made = tableNode(places[index] ?? start);
    at.set(name, made.node);
    at = made.members;
  }
  return at;
}

function take(into: Table, { key, value }: AST.TOMLKeyValue): void {
  const places = key.keys.map(placeOf);
  const names = key.keys.map(nameOf);
  const last = names.pop()!;
  walk(into, names, places).set(last, nodeOf(value, places.at(-1)!));
}

function nodeOf(value: AST.TOMLContentNode, keyPlace: Place): Node {
  const place = placeOf(value);
  if (value.type === 'TOMLArray') {
    const items = value.elements.map((element) => nodeOf(element, placeOf(element)));
    return { keyPlace, place, content: { kind: 'list', items } };
  }
  if (value.type === 'TOMLInlineTable') {
    const { node, members } = tableNode(keyPlace, place);
    for (const part of value.body) take(members, part);
    return node;
  }
  const plain = value.kind === 'integer' ? value.bigint : value.value;
  return { keyPlace, place, content: { kind: 'plain', value: plain } };
}

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === 'TOMLBare' ? key.name : key.value;
}

function placeOf({ loc }: AST.TOMLNode): Place {
  return { line: loc.start.line, column: loc.start.column + 1 };
}

/** The value without its places: integers as numbers where those can hold them, tables as objects. */
export function plainValue({ content }: Node): unknown {
  if (content.kind === 'list') return content.items.map(plainValue);
  if (content.kind === 'table') {
    return Object.fromEntries([...content.members].map(([name, node]) => [name, plainValue(node)]));
  }
  const { value } = content;
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The node nearest to the end of a path, for saying where something is wrong. */
export function nodeAt(from: Node, path: readonly PropertyKey[]): Node {
  let at = from;
  for (const step of path) {
    const { content } = at;
    const next =
      content.kind === 'table'
        ? content.members.get(String(step))
        : content.kind === 'list'
          ? content.items[Number(step)]
          : undefined;
    if (next === undefined) return at;
    at = next;
  }
  return at;
}
