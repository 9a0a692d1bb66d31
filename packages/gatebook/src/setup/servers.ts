import type { Node } from 'jsonc-parser';
import type { Place } from '../config/fault.js';
import { type ClientFile, placeAt } from './client-file.js';
import { readWired, type Wired } from './launcher.js';

/** A server in a client's file. */
export interface Server {
  /** Its name, and the project where it is of one. */
  readonly name: string;
  readonly place: Place;
  /** The value of its member. */
  readonly node: Node;
  readonly what: Started | Remote | Odd;
}

/** Started by the client, and spoken to over its standard streams. */
export interface Started {
  readonly kind: 'started';
  readonly command: Node;
  readonly args: Node | undefined;
  /** Of the whole command line, the command first. */
  readonly words: readonly string[];
  /** Where a gatebook stands in front already. */
  readonly wired: Wired | undefined;
}

/** Reached by URL. */
interface Remote {
  readonly kind: 'remote';
}

/** Not as any client would have it. */
interface Odd {
  readonly kind: 'odd';
  readonly why: string;
}

/** All servers in the tables of a client, in the order of the file. */
export function serversIn(
  { root, text }: ClientFile,
  tables: readonly (readonly string[])[],
): Server[] {
  const found = tables.flatMap((steps) => tablesAt(root, steps, []));
  const servers = found.flatMap(({ table, names }) =>
    membersOf(table).map(([name, node]): Server => {
      const within = names.length === 0 ? '' : ` (${names.join(', ')})`;
      const place = placeAt(text, node.offset);
      return { name: `${name}${within}`, place, node, what: judge(node) };
    }),
  );
  return servers.sort((a, b) => a.node.offset - b.node.offset);
}

interface Found {
  readonly table: Node;
  /** What `*` stood for. */
  readonly names: readonly string[];
}

/** Every member of a name is gone into: which of two a client would take is for the client to know. */
function tablesAt(node: Node, steps: readonly string[], names: readonly string[]): Found[] {
  const [step, ...rest] = steps;
  if (step === undefined) return [{ table: node, names }];
  return membersOf(node).flatMap(([name, value]) =>
    step === '*' || step === name
      ? tablesAt(value, rest, step === '*' ? [...names, name] : names)
      : [],
  );
}

function membersOf(node: Node): [string, Node][] {
  if (node.type !== 'object') return [];
  return (node.children ?? []).flatMap(({ children = [] }): [string, Node][] => {
    const [name, value] = children;
    return name === undefined || value === undefined ? [] : [[String(name.value), value]];
  });
}

const remoteTypes = new Set([
  'http',
  'sse',
  'streamable-http',
  'streamableHttp',
  'ws',
  'websocket',
]);
const startedTypes = new Set(['stdio', 'local']);
const urlNames = ['url', 'serverUrl', 'httpUrl'];

function judge(node: Node): Server['what'] {
  const odd = (why: string): Odd => ({ kind: 'odd', why });
  if (node.type !== 'object') return odd('it is no object');
  const all = membersOf(node);
  const names = all.map(([name]) => name);
  const decisive = ['type', 'command', 'args', ...urlNames];
  const twice = decisive.find((name) => names.indexOf(name) !== names.lastIndexOf(name));
  if (twice !== undefined) return odd(`it has ${JSON.stringify(twice)} twice`);
  const members = new Map(all);
  const type = members.get('type')?.value as unknown;
  const command = members.get('command');
  const hasUrl = urlNames.some((name) => members.has(name));
  if (remoteTypes.has(String(type)) || (type === undefined && command === undefined && hasUrl)) {
    return { kind: 'remote' };
  }
  if (members.has('type') && !startedTypes.has(String(type))) {
    return odd('its type is none that is known');
  }
  if (command === undefined) return odd('it has no command');
  if (type === undefined && hasUrl) return odd('it has both a command and a URL');
  if (command.type !== 'string' || command.value === '') return odd('its command is no text');
  const args = members.get('args');
  const words = wordsOf(args);
  if (words === undefined) return odd('its args are no list of texts');
  const line = [String(command.value), ...words];
  return { kind: 'started', command, args, words: line, wired: readWired(line) };
}

function wordsOf(args: Node | undefined): string[] | undefined {
  if (args === undefined) return [];
  const { children = [] } = args;
  const texts = args.type === 'array' && children.every(({ type }) => type === 'string');
  return texts ? children.map(({ value }) => String(value)) : undefined;
}
