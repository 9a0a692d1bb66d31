import type { Node } from 'jsonc-parser';
import type { Edit } from './edits.js';
import type { Wired } from './launcher.js';
import type { Started } from './servers.js';

/**
 * Puts these words in front of a server's command line. The text of its own command and arguments stays as it was written, so that
 * `unwireEdits` gives back just that.
 */
export function wireEdits(text: string, server: Started, front: readonly string[]): Edit[] {
  const { command, args } = server;
  const [first = '', ...rest] = front.map((word) => JSON.stringify(word));
  const words = [...rest, textOf(text, command)];
  const head = args?.children?.[0];
  if (args === undefined) {
    const separator = separatorBefore(text, command.parent?.offset ?? command.offset);
    return [replaced(command, `${first}${separator}"args": [${words.join(', ')}]`)];
  }
  if (head === undefined) {
    return [replaced(command, first), replaced(args, `[${words.join(', ')}]`)];
  }
  const inserted = { offset: head.offset, length: 0, text: listed(text, args, head, words) };
  return [replaced(command, first), inserted];
}

/** Takes a gatebook away that stands in front of a server's command line. */
export function unwireEdits(text: string, server: Started, wired: Wired): Edit[] {
  const { command, args } = server;
  const [head, own, next] = placesIn(args, wired);
  if (args === undefined || head === undefined || own === undefined) return [];
  const renamed = replaced(command, textOf(text, own));
  if (next === undefined) return [renamed, replaced(args, '[]')];
  return [renamed, { offset: head.offset, length: next.offset - head.offset, text: '' }];
}

/** Puts other words in front, in the place of those that are there. */
export function rewireEdits(
  text: string,
  server: Started,
  wired: Wired,
  front: readonly string[],
): Edit[] {
  const { command, args } = server;
  const [head, own] = placesIn(args, wired);
  if (args === undefined || head === undefined || own === undefined) return [];
  const [first = '', ...rest] = front.map((word) => JSON.stringify(word));
  const inserted = listed(text, args, head, rest);
  return [
    replaced(command, first),
    { offset: head.offset, length: own.offset - head.offset, text: inserted },
  ];
}

/** In the arguments: the first, the one with the server's own command, and the one behind that. */
function placesIn(args: Node | undefined, { front }: Wired): (Node | undefined)[] {
  const words = args?.children ?? [];
  return [words[0], words[front.length - 1], words[front.length]];
}

/** Words to stand before `head` in a list, each in a line of its own where that is how the list is written. */
function listed(text: string, list: Node, head: Node, words: readonly string[]): string {
  const lead = text.slice(list.offset + 1, head.offset);
  const between = /^\s*\n\s*$/.test(lead) ? `,${lead}` : ', ';
  return words.map((word) => `${word}${between}`).join('');
}

function replaced({ offset, length }: Node, text: string): Edit {
  return { offset, length, text };
}

function textOf(text: string, { offset, length }: Node): string {
  return text.slice(offset, offset + length);
}

const spaceMax = 200;

/** A comma, and the space that stands before the member at `offset`. */
function separatorBefore(text: string, offset: number): string {
  const space = /\s*$/.exec(text.slice(Math.max(0, offset - spaceMax), offset))?.[0] ?? '';
  return `,${space === '' ? ' ' : space}`;
}
