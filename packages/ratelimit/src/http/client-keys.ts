import { BlockList } from 'node:net';
import { RateLimitError } from '../errors.js';
import { forwardedElements, forwardedFor } from './forwarded.js';
import { type IpAddress, networkOf, parseAddress } from './ip-address.js';

export interface ClientKeyOptions {
  /**
   * Who may say for whom a request comes: addresses and CIDR ranges such as `10.0.0.0/8`, and `unix` for a peer without an address. None by
   * default: the address of the connection counts, and what the fields say is ignored.
   */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Which of the two fields the trusted proxies write; the other is never looked at. `x-forwarded-for` by default. */
  readonly forwardedField?: 'x-forwarded-for' | 'forwarded' | undefined;
  /** How many bits of an IPv6 address tell clients apart: 64 by default. A provider that gives each customer more is told by 56 or 48. */
  readonly ipv6Prefix?: number | undefined;
}

/** What a request says: the address its connection comes from, if it has one, and its fields by their names in small letters. */
export interface RequestOrigin {
  readonly address: string | undefined;
  readonly field: (name: string) => string | readonly string[] | undefined;
}

/** The key of whoever has no address: all who come by a Unix socket. It is no address, so nobody can claim it. */
const noAddress = 'no address';

/**
 * Makes the function that tells clients apart: by the address of the connection, or, if that is a trusted proxy, by the nearest address
 * before it that is none. A client can write what it likes in front of that, and it changes nothing.
 *
 * @throws RateLimitError `bad_option`
 */
export function clientKeys(options: ClientKeyOptions = {}): (origin: RequestOrigin) => string {
  const { trustedProxies = [], forwardedField = 'x-forwarded-for', ipv6Prefix = 64 } = options;
  if (!Number.isInteger(ipv6Prefix) || ipv6Prefix < 1 || ipv6Prefix > 128)
    throw new RateLimitError(
      'bad_option',
      `ipv6Prefix is ${ipv6Prefix}, not a whole number from 1 to 128`,
    );
  if (forwardedField !== 'x-forwarded-for' && forwardedField !== 'forwarded')
    throw new RateLimitError(
      'bad_option',
      `forwardedField is ${forwardedField}; there is x-forwarded-for, forwarded`,
    );
  const list = listOf(trustedProxies.filter((each) => each !== 'unix'));
  const isUnixTrusted = trustedProxies.includes('unix');
  const isTrusted = (address: IpAddress): boolean => list.check(address.text, address.family);
  const hopsOf = forwardedField === 'forwarded' ? forwardedElements : forwardedFor;

  return ({ address, field }) => {
    let client = address === undefined ? undefined : parseAddress(address);
    const mayTell = client === undefined ? isUnixTrusted && !address : isTrusted(client);
    const said = mayTell ? field(forwardedField) : undefined;
    if (said !== undefined) {
      for (const hop of hopsOf(said).reverse()) {
        const before = parseAddress(hop);
        if (before === undefined) break;
        client = before;
        if (!isTrusted(before)) break;
      }
    }
    return client === undefined ? noAddress : networkOf(client, ipv6Prefix);
  };
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [text = '', bits, ...more] = range.split('/');
    const address = parseAddress(text);
    const most = address?.family === 'ipv4' ? 32 : 128;
    const prefix = bits === undefined ? most : Number(bits);
    const isWritten = more.length === 0 && (bits === undefined || /^\d{1,3}$/.test(bits));
    // A prefix of IPv4 mapped into IPv6 would count other bits than it seems to.
    const isMapped = address?.family === 'ipv4' && text.includes(':');
    if (address === undefined || !isWritten || prefix > most || isMapped) {
      throw new RateLimitError(
        'bad_option',
        `trustedProxies has ${JSON.stringify(range)}; write an address, a range like 10.0.0.0/8, or unix`,
      );
    }
    list.addSubnet(address.text, prefix, address.family);
  }
  return list;
}
