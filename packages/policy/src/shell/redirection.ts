import type { HereDocBody, Redirection as RedirectionNode } from 'unbash';
import type { Input, Redirection } from './command.js';
import { hole, toArgument } from './word.js';

/** A redirection to or from a file, and what the command reads because of it. */
export function readRedirection(
  node: RedirectionNode,
  values: ReadonlyMap<string, string>,
): { redirection?: Redirection; input?: Input } {
  if (node.type === 'HereDoc') {
    const text = bodyText(node.body);
    return { input: { kind: 'text', text, known: !text.includes(hole) } };
  }
  if (node.target === undefined) return {};
  const target = toArgument(node.target, values);
  if (node.type === 'HereString') {
    return { input: { kind: 'text', text: target.value, known: target.known } };
  }
  const { operator } = node;
  // `2>&1` and `>&-` name no file.
  if (/&$/.test(operator) && /^(\d+|-|\d+-)$/.test(target.value)) return {};
  const redirection = { operator, target };
  const reads = operator.startsWith('<') && operator !== '<&';
  return reads ? { redirection, input: { kind: 'file' } } : { redirection };
}

function bodyText(body: HereDocBody): string {
  if (body.parts === undefined) return body.text;
  return body.parts
    .map((part) => ('value' in part && part.type === 'Literal' ? part.value : hole))
    .join('');
}
