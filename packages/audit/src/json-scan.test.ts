import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonDepthMax, memberName, scanJson, scanObject } from './json-scan.js';

function scan(text: string): ReturnType<typeof scanJson> {
  // Bytes on both sides must not be looked at.
  const inner = Buffer.from(text);
  const outer = Buffer.concat([Buffer.from('1"{['), inner, Buffer.from(']}"1')]);
  return scanJson(outer, 4, 4 + inner.length);
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether some object in the text has a member twice, by a reviver-free walk over a tokenised copy. */
function doubles(text: string): boolean {
  return scan(text)?.doubled === true;
}

/** Values whose text JSON.stringify makes without doubled members. */
const value = fc.jsonValue({ maxDepth: 5 });

describe('accepts exactly what JSON.parse accepts', () => {
  test('every value that JSON.stringify writes, spaced or not', () => {
    fc.assert(
      fc.property(value, fc.constantFrom('', ' ', '\t'), (json, space) => {
        expect(scan(`${space}${JSON.stringify(json)}${space}`)).toBeUndefined();
        expect(scan(JSON.stringify(json, null, '\t').replaceAll('\n', ' '))).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test('texts that are nearly JSON: one byte taken out, put in or changed', () => {
    const piece = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '\\',
        'u',
        '0',
        '1',
        '-',
        '+',
        '.',
        'e',
        'E',
        't',
        ' ',
      ],
      ...[
        'n',
        '\u0000',
        '\u001f',
        '\u007f',
        '\ufeff',
        '\u2028',
        '/',
        'x',
        '\t',
        '\u00a0',
        '\f',
        '\v',
      ],
    );
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(2), piece, (json, seed, cut, put) => {
        const text = JSON.stringify(json);
        const at = seed % (text.length + 1);
        const near = text.slice(0, at) + put + text.slice(at + cut);
        if (!near.isWellFormed() || doubles(near)) return;
        expect(scan(near) === undefined, JSON.stringify(near)).toBe(parses(near));
      }),
      { numRuns: 5_000 },
    );
  });

  test('random short texts of JSON’s own characters', () => {
    const text = fc.string({
      unit: fc.constantFrom(...'{}[],:"\\0123-+.eEtrufalsn bu/'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, (random) => {
        if (doubles(random)) return;
        expect(scan(random) === undefined, random).toBe(parses(random));
      }),
      { numRuns: 20_000 },
    );
  });

  test.each([
    ...['0', '-0', '1e5', '1E+5', '0.0e-0', '"\\u0000"', '"\\ud800"', '"\\/"', '{"":""}', '[[]]'],
    ...['', ' ', '-', '01', '1.', '.5', '+1', '1e', '0x1', 'NaN', 'Infinity', 'tru', 'nulll', '"'],
    ...[
      '"\\',
      '"\\u12',
      '"\\u12g4"',
      '"\\x"',
      '"\u0001"',
      "'a'",
      '{a:1}',
      '{"a"}',
      '{"a":}',
      '{,}',
    ],
    ...[
      '{"a":1,}',
      '[1,]',
      '[,1]',
      '[',
      ']',
      '{',
      '}',
      '{]',
      '[}',
      '1 1',
      '[1 1]',
      '"a" "b"',
      '{"a":1 "b":2}',
    ],
    ...['\ufeff1', '1\u00a0', '/**/1', '1//', '{"a":1}}', '"\u2028"', '"\u007f"', '"😀"'],
  ])('%j', (text) => {
    expect(scan(text) === undefined).toBe(parses(text));
  });
});

describe('stricter than JSON.parse', () => {
  test.each([
    '\n1',
    '1\r',
    '[1,\n2]',
    '{"a":\r1}',
    '\r\n',
  ])('line ends are no white space: %j', (text) => {
    expect(scan(text)).toBeDefined();
  });

  test('nesting of 512 passes, of 513 is a fault', () => {
    const nested = (open: string, close: string, depth: number): string =>
      open.repeat(depth) + close.repeat(depth);
    expect(jsonDepthMax).toBe(512);
    expect(scan(nested('[', ']', 512))).toBeUndefined();
    expect(scan(nested('[', ']', 513))?.reason).toContain('deeper');
    expect(scan(`${'{"a":'.repeat(512)}1${'}'.repeat(512)}`)).toBeUndefined();
    expect(scan(`${'{"a":'.repeat(513)}1${'}'.repeat(513)}`)?.reason).toContain('deeper');
    expect(scan('['.repeat(1_000_000))?.reason).toContain('deeper');
  });

  test.each([
    '{"a":1,"a":1}',
    '{"a":1,"b":2,"a":3}',
    '{"a":1,"\\u0061":2}',
    '{"\\u0061":1,"\\u0061":2}',
    '{"\\/":1,"/":2}',
    '{"x":{"a":1,"a":2}}',
    '[[{"b":0},{"a":1,"c":[],"a":2}]]',
    '{"":1,"":2}',
    '{"\\ud800":1,"\\uD800":2}',
    '{"é":1,"\\u00e9":2}',
    '{"😀":1,"\\ud83d\\ude00":2}',
  ])('a doubled member is found: %s', (text) => {
    expect(parses(text)).toBe(true);
    expect(scan(text)).toMatchObject({ doubled: true });
  });

  test.each([
    '{"a":1,"A":2}',
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":2}]',
    '{"a":{"b":1},"b":{"a":1}}',
    '{"ab":1,"a":2,"b":3}',
    '{"e\u0301":1,"é":2}',
    '{"\\\\u0061":1,"a":2}',
  ])('the same name in another object, or another name, is none: %s', (text) => {
    expect(scan(text)).toBeUndefined();
  });

  test('a member doubled anywhere in an object of any size is found, and nothing else is', () => {
    const names = fc.uniqueArray(fc.string({ maxLength: 4 }), {
      minLength: 1,
      maxLength: 80,
      size: 'max',
    });
    fc.assert(
      fc.property(names, fc.nat(), fc.nat(), fc.boolean(), (unique, from, to, escaped) => {
        const quoted = unique.map((name) => JSON.stringify(name.toWellFormed()));
        fc.pre(new Set(quoted).size === quoted.length);
        const write = (list: readonly string[]): string =>
          `{${list.map((name) => `${name}:{"in":1}`).join(',')}}`;
        expect(scan(write(quoted))).toBeUndefined();
        const name = unique[from % unique.length]!.toWellFormed();
        const again = escaped
          ? `"${[...name]
              .map((c) =>
                c
                  .split('')
                  .map((u) => `\\u${u.charCodeAt(0).toString(16).padStart(4, '0')}`)
                  .join(''),
              )
              .join('')}"`
          : JSON.stringify(name);
        const doubled = quoted.toSpliced(to % (quoted.length + 1), 0, again);
        expect(scan(write(doubled))).toMatchObject({ doubled: true });
      }),
      { numRuns: 300 },
    );
  });

  test('many members cost no more than their number', () => {
    const wide = `{${Array.from({ length: 200_000 }, (_, i) => `"m${i}":0`).join(',')}}`;
    const start = performance.now();
    expect(scan(wide)).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(3_000);
  });
});

describe('what it tells', () => {
  test('the members of the outermost object, with the bytes of their values', () => {
    const text = '{"a":"é", "b\\n" : [1,{"x":2}] ,"c":-1.5e3,"d":{},"e":true,"f":null}';
    const buf = Buffer.from(`??${text}??`);
    const scanned = scanObject(buf, 2, buf.length - 2);
    if (!('members' in scanned)) throw new Error(scanned.fault.reason);
    expect(
      scanned.members.map((member) => [
        member.name,
        member.kind,
        buf.toString('utf8', member.start, member.end),
      ]),
    ).toEqual([
      ['a', 'string', '"é"'],
      ['b\n', 'array', '[1,{"x":2}]'],
      ['c', 'number', '-1.5e3'],
      ['d', 'object', '{}'],
      ['e', 'boolean', 'true'],
      ['f', 'null', 'null'],
    ]);
  });

  test('members are those of JSON.parse, in order', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (object) => {
        const buf = Buffer.from(JSON.stringify(object));
        const scanned = scanObject(buf, 0, buf.length);
        if (!('members' in scanned)) throw new Error(scanned.fault.reason);
        const parsed = scanned.members.map(({ name, start, end }) => [
          name,
          JSON.parse(buf.toString('utf8', start, end)),
        ]);
        const wanted = Object.entries(JSON.parse(buf.toString()) as object);
        expect(parsed).toEqual(wanted);
      }),
    );
  });

  test.each(['1', '"a"', '[]', 'null', 'true'])('%s is no object', (text) => {
    const buf = Buffer.from(text);
    expect(scanObject(buf, 0, buf.length)).toMatchObject({ fault: { doubled: false } });
  });

  test('where the fault is', () => {
    expect(scanJson(Buffer.from('  [1, x]'), 0, 8)).toMatchObject({ at: 6, doubled: false });
    expect(scanJson(Buffer.from('{"a":1,"a":2}'), 0, 13)).toMatchObject({ at: 8, doubled: true });
  });

  test('a name is unescaped', () => {
    const buf = Buffer.from('"\\u0061\\t"');
    expect(memberName(buf, 1, buf.length - 1)).toBe('a\t');
  });
});
