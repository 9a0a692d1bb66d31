import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClientKeyOptions, clientKeys } from './client-keys.js';
import { networkOf, parseAddress } from './ip-address.js';

const proxies = ['10.0.0.0/8', '2001:db8:ffff::/48'];

function keyOf(
  address: string | undefined,
  said: string | readonly string[] | undefined,
  options: ClientKeyOptions = { trustedProxies: proxies },
): string {
  const wanted = options.forwardedField ?? 'x-forwarded-for';
  const field = (name: string) => (name === wanted ? said : undefined);
  return clientKeys(options)({ address, field });
}

describe('an address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:8080', '192.0.2.1'],
    [' 192.0.2.1 ', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:443', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8:0:0:0:0:0:0/64'],
    ['[2001:db8::1]', '2001:db8:0:0:0:0:0:0/64'],
    ['[2001:db8::1]:443', '2001:db8:0:0:0:0:0:0/64'],
    ['2001:db8:0:0:ffff:ffff:ffff:ffff', '2001:db8:0:0:0:0:0:0/64'],
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:0/64'],
    ['::1', '0:0:0:0:0:0:0:0/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0:0:0:0:0/64'],
  ])('%s is the client %s', (text, key) => {
    expect(keyOf(text, undefined)).toBe(key);
  });

  test.each([
    '',
    'unknown',
    '_hidden',
    '192.0.2',
    '192.0.2.256',
    '192.0.2.01',
    '192.0.2.1:',
    '192.0.2.1:123456',
    '[192.0.2.1]',
    '[2001:db8::1',
    '2001:db8::1::2',
    ':::',
    '1.2.3.4, 5.6.7.8',
    '%eth0',
    'a'.repeat(10_000),
  ])('%s is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test.each([
    [128, '2001:db8:1234:5678:9abc:def0:1234:5678/128'],
    [65, '2001:db8:1234:5678:8000:0:0:0/65'],
    [60, '2001:db8:1234:5670:0:0:0:0/60'],
    [56, '2001:db8:1234:5600:0:0:0:0/56'],
    [48, '2001:db8:1234:0:0:0:0:0/48'],
    [1, '0:0:0:0:0:0:0:0/1'],
  ])('is grouped by its first %i bits', (ipv6Prefix, key) => {
    expect(keyOf('2001:db8:1234:5678:9abc:def0:1234:5678', undefined, { ipv6Prefix })).toBe(key);
  });

  test('has the same network as another exactly if their first bits are the same', () => {
    const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 });
    const bitsOf = (all: readonly number[]) =>
      all.map((group) => group.toString(2).padStart(16, '0')).join('');
    fc.assert(
      fc.property(groups, fc.integer({ min: 1, max: 128 }), fc.nat(127), (all, prefix, bit) => {
        const other = all.map((group, place) =>
          place === bit >> 4 ? group ^ (0x8000 >> (bit & 15)) : group,
        );
        const [a, b] = [all, other].map((each) => {
          const text = each.map((group) => group.toString(16)).join(':');
          return networkOf({ family: 'ipv6', text }, prefix);
        });
        const isSame = bitsOf(all).slice(0, prefix) === bitsOf(other).slice(0, prefix);
        expect(a === b).toBe(isSame);
      }),
    );
  });
});

test('a zone is no part of an address', () => {
  for (const zone of ['eth0', 'eth0.100', '2']) {
    expect(parseAddress(`fe80::1%${zone}`)?.text).toBe('fe80:0:0:0:0:0:0:1');
  }
});

describe('who is the client', () => {
  test('is the peer, whatever it says, unless it is a trusted proxy', () => {
    expect(keyOf('192.0.2.1', '198.51.100.1')).toBe('192.0.2.1');
    expect(keyOf('192.0.2.1', '198.51.100.1', {})).toBe('192.0.2.1');
    expect(keyOf('10.0.0.1', '198.51.100.1', {})).toBe('10.0.0.1');
    expect(keyOf('10.0.0.1', '198.51.100.1')).toBe('198.51.100.1');
    expect(keyOf('::ffff:10.0.0.1', '198.51.100.1')).toBe('198.51.100.1');
    expect(keyOf('2001:db8:ffff::1', '198.51.100.1')).toBe('198.51.100.1');
  });

  test.each([
    ['the nearest that is not trusted', '6.6.6.6, 198.51.100.1, 10.1.1.1', '198.51.100.1'],
    ['the furthest, if all are trusted', '10.3.3.3, 10.2.2.2', '10.3.3.3'],
    ['the proxy, if it says nothing', undefined, '10.0.0.1'],
    ['the proxy, if it says nothing that is an address', 'unknown', '10.0.0.1'],
    ['the last that is an address', '6.6.6.6, evil, 10.2.2.2', '10.2.2.2'],
    ['the last before nothing', '6.6.6.6, , 10.2.2.2', '10.2.2.2'],
    ['the last of several lines', ['6.6.6.6', '198.51.100.1'], '198.51.100.1'],
    ['named with its port', '198.51.100.1:4711', '198.51.100.1'],
  ])('is %s', (_, said, key) => {
    expect(keyOf('10.0.0.1', said)).toBe(key);
  });

  test('without an address is one for all, and may speak for others only if `unix` is trusted', () => {
    expect(keyOf(undefined, '198.51.100.1')).toBe('no address');
    expect(keyOf('', '198.51.100.1')).toBe('no address');
    const trusting = { trustedProxies: ['unix'] };
    expect(keyOf(undefined, '198.51.100.1', trusting)).toBe('198.51.100.1');
    expect(keyOf('no address', '198.51.100.1', trusting)).toBe('no address');
    expect(keyOf('10.0.0.1', '198.51.100.1', trusting)).toBe('10.0.0.1');
  });

  test('does not look further than 32 hops', () => {
    const hops = ['198.51.100.1', ...Array<string>(40).fill('10.2.2.2')].join(',');
    expect(keyOf('10.0.0.1', hops)).toBe('10.2.2.2');
  });

  test.each([
    ['for=198.51.100.1', '198.51.100.1'],
    ['for=6.6.6.6, For="198.51.100.1:99";proto=https;by=10.0.0.1', '198.51.100.1'],
    ['for="[2001:db8:1::17]:4711", for=10.2.2.2', '2001:db8:1:0:0:0:0:0/64'],
    ['for=198.51.100.1;host="a,b;\\"for=6.6.6.6"', '198.51.100.1'],
    ['for=198.51.100.1, proto=http', '10.0.0.1'],
    ['for=_hidden, for=10.2.2.2', '10.2.2.2'],
    ['for=unknown', '10.0.0.1'],
    ['for="6.6.6.6, for=198.51.100.1', '10.0.0.1'],
    ['for=6.6.6.6;x=", for="[2001:db8:1::17]"', '10.0.0.1'],
    ['for = 6.6.6.6', '10.0.0.1'],
    ['6.6.6.6', '10.0.0.1'],
    ['', '10.0.0.1'],
  ])('is told by Forwarded: %s', (said, key) => {
    expect(keyOf('10.0.0.1', said, { trustedProxies: proxies, forwardedField: 'forwarded' })).toBe(
      key,
    );
  });

  test('is the same whatever a client writes in front of what the proxy adds', () => {
    for (const forwardedField of ['x-forwarded-for', 'forwarded'] as const) {
      const isPlain = forwardedField === 'x-forwarded-for';
      const key = clientKeys({ trustedProxies: proxies, forwardedField });
      const added = isPlain ? '198.51.100.1' : 'for="198.51.100.1:80"';
      const bits = ['"', '\\', ',', ';', 'for=', '6.6.6.6', '10.0.0.1', '[::1]', ' ', 'x', '='];
      const written = fc
        .array(fc.oneof(fc.constantFrom(...bits), fc.string({ maxLength: 5 })), { maxLength: 12 })
        .map((parts) => parts.join(''));
      fc.assert(
        fc.property(written, (text) => {
          const field = () => `${text}, ${added}`;
          // What makes a whole field unreadable has the client counted with its proxy.
          const keys = isPlain ? ['198.51.100.1'] : ['198.51.100.1', '10.0.0.1'];
          expect(keys).toContain(key({ address: '10.0.0.1', field }));
        }),
        { numRuns: 2_000 },
      );
    }
  });
});

test.each<[ClientKeyOptions, string]>([
  [{ trustedProxies: ['10.0.0.0/33'] }, '10.0.0.0/33'],
  [{ trustedProxies: ['10.0.0.0/'] }, '10.0.0.0/'],
  [{ trustedProxies: ['10.0.0.0/8/8'] }, '10.0.0.0/8/8'],
  [{ trustedProxies: ['::ffff:10.0.0.0/104'] }, '::ffff'],
  [{ trustedProxies: ['localhost'] }, 'localhost'],
  [{ ipv6Prefix: 0 }, 'ipv6Prefix is 0'],
  [{ ipv6Prefix: 56.5 }, '56.5'],
  [{ forwardedField: 'x-real-ip' as 'forwarded' }, 'x-real-ip'],
])('an option that cannot work is named: %o', (options, message) => {
  expect(() => clientKeys(options)).toThrow(
    expect.objectContaining({ code: 'bad_option', message: expect.stringContaining(message) }),
  );
});
