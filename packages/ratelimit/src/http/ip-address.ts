import { isIP, isIPv4 } from 'node:net';

/** An address in one spelling, so that one client has one key. */
export interface IpAddress {
  readonly family: 'ipv4' | 'ipv6';
  /** Of IPv6, its eight groups in hexadecimal without leading zeros, none left out. */
  readonly text: string;
}

/**
 * Reads what a socket, `X-Forwarded-For` or `Forwarded` says: with a port or not, IPv6 in brackets or not. A zone is left out, and
 * IPv4 mapped into IPv6 is IPv4. Undefined if it is no address.
 */
export function parseAddress(text: string): IpAddress | undefined {
  const bare = withoutPort(text.trim()).replace(/%.*$/s, '');
  const version = isIP(bare);
  if (version === 0) return undefined;
  if (version === 4) return { family: 'ipv4', text: bare };
  const groups = groupsOf(bare);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high, low] = [groups[6]!, groups[7]!];
    return { family: 'ipv4', text: [high >> 8, high & 255, low >> 8, low & 255].join('.') };
  }
  return { family: 'ipv6', text: textOf(groups) };
}

/** The address, or the first `prefix` bits of an IPv6 one, written as `2001:db8:0:7:0:0:0:0/64`: one host has all the rest of them. */
export function networkOf({ family, text }: IpAddress, prefix: number): string {
  if (family === 'ipv4') return text;
  const groups = groupsOf(text).map((group, place) => {
    const bits = Math.min(16, Math.max(0, prefix - 16 * place));
    return group & (0xffff << (16 - bits)) & 0xffff;
  });
  return `${textOf(groups)}/${prefix}`;
}

/** The longest there is: IPv6 with a dotted end, in brackets, with a zone and a port. More is not looked at. */
const longest = 100;

function withoutPort(text: string): string {
  if (text.length > longest) return '';
  const inBrackets = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text);
  if (inBrackets !== null) return isIPv4(inBrackets[1]!) ? '' : inBrackets[1]!;
  const dotted = /^([\d.]+):\d{1,5}$/.exec(text);
  return dotted === null ? text : dotted[1]!;
}

/** The eight numbers of what `isIP` calls IPv6. */
function groupsOf(text: string): number[] {
  const [before = '', after] = text.split('::');
  const head = numbersOf(before);
  if (after === undefined) return head;
  const tail = numbersOf(after);
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function numbersOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function textOf(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}
