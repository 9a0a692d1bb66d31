import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Note, verifierKey } from './checkpoint.js';
import { cosign, cosignerKey } from './cosignature.js';
import { allOf, parsePolicy, quorumTime } from './tlog-policy.js';

const text = 'example.com/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const keys = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'].map((name) => {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { name, privateKey, key: cosignerKey(`witness.example/${name}`, privateKey) };
});
const log = verifierKey('example.com/log', generateKeyPairSync('ed25519').privateKey);
const witnesses = keys.map(({ name, key }) => `witness ${name} ${key.text}\n`).join('');
const groups =
  'group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\ngroup X-and-Y all X-witnesses Y-witnesses\n';

function policy(tail: string): ReturnType<typeof parsePolicy> {
  return parsePolicy(Buffer.from(`${witnesses}${tail}`));
}

/** A note cosigned by the named ones, each at its time. */
function noteBy(times: Readonly<Record<string, number>>): Note {
  const signatures = Object.entries(times).map(([name, seconds]) => {
    const found = keys.find((each) => each.name === name)!;
    return cosign(text, seconds, found.key, found.privateKey as KeyObject);
  });
  return { text, signatures };
}

describe('a policy', () => {
  test('of two levels is met by the witnesses that the spec’s example asks for, and no fewer', () => {
    const example = policy(`${groups}quorum X-and-Y\n`);
    const met = (times: Readonly<Record<string, number>>): number =>
      quorumTime(example, noteBy(times));
    expect(met({ X1: 5, X3: 7, Y2: 6 })).toBe(5);
    expect(met({ X1: 5, X2: 9, X3: 7, Y1: 8 })).toBe(7);
    expect(met({ X1: 5, X2: 9, X3: 7 })).toBe(Number.NEGATIVE_INFINITY);
    expect(met({ X1: 5, Y1: 9, Y2: 7 })).toBe(Number.NEGATIVE_INFINITY);
    expect(met({})).toBe(Number.NEGATIVE_INFINITY);
  });

  test('counts no cosignature dated after the time it is given', () => {
    const one = policy('quorum X1\n');
    expect(quorumTime(one, noteBy({ X1: 100 }), 100)).toBe(100);
    expect(quorumTime(one, noteBy({ X1: 100 }), 99)).toBe(Number.NEGATIVE_INFINITY);
  });

  test('is not met by a note with a broken line of a known witness, even one that is not needed', () => {
    const any = policy('group G any X1 X2\nquorum G\n');
    const note = noteBy({ X1: 5 });
    const { key } = keys[1]!;
    const broken = { name: key.name, hash: key.hash, signature: Buffer.alloc(72, 1) };
    expect(quorumTime(any, { text, signatures: [...note.signatures, broken] })).toBe(
      Number.NEGATIVE_INFINITY,
    );
  });

  test('that asks for none is met, at no time', () => {
    expect(quorumTime(policy('quorum none\n'), noteBy({}))).toBe(Number.POSITIVE_INFINITY);
  });

  test('takes comments, blank lines, tabs, URLs, octets beyond ASCII, and logs', () => {
    const first = keys[0]!;
    const read = parsePolicy(
      Buffer.from(
        `# caf\u00e9\n\n \t \n\tlog  ${log.text} https://log.example/\n witness\tW\u00e9 ${first.key.text} https://w.example/ \nquorum W\u00e9\n`,
      ),
    );
    expect(read.logs.map(({ text }) => text)).toEqual([log.text]);
    expect(read.witnesses.map(({ url }) => url)).toEqual(['https://w.example/']);
    expect(quorumTime(read, noteBy({ X1: 3 }))).toBe(3);
  });

  test('of named witnesses is all of them', () => {
    const both = allOf([keys[0]!.key, keys[1]!.key]);
    expect(quorumTime(both, noteBy({ X1: 3, X2: 2 }))).toBe(2);
    expect(quorumTime(both, noteBy({ X1: 3 }))).toBe(Number.NEGATIVE_INFINITY);
  });

  test('that breaks a rule is refused with its line', () => {
    const [first, second] = keys;
    const bad: Readonly<Record<string, string>> = {
      'no quorum': '',
      'two quorums': 'quorum X1\nquorum X1\n',
      'unknown quorum': 'quorum Z\n',
      'group after use': 'quorum G\ngroup G any X1\n',
      'group of nobody': 'group G any\nquorum none\n',
      'threshold 0': 'group G 0 X1\nquorum none\n',
      'threshold too large': 'group G 2 X1\nquorum none\n',
      'threshold not decimal': 'group G 0x1 X1\nquorum none\n',
      'member twice': 'group G any X1 X1\nquorum none\n',
      'member of two groups': 'group G any X1\ngroup H any X1\nquorum none\n',
      'name none': `witness none ${first!.key.text}\nquorum none\n`,
      'member none': 'group G any none\nquorum none\n',
      'name twice': 'group X1 any X2\nquorum none\n',
      'key twice': `witness Z ${cosignerKey('another.name', second!.privateKey).text}\nquorum none\n`,
      'log twice': `log ${log.text}\nlog ${log.text}\nquorum none\n`,
      'log key as a witness': `witness Z ${log.text}\nquorum none\n`,
      'witness key as a log': `log ${first!.key.text}\nquorum none\n`,
      'unknown keyword': 'quorums none\n',
      'too many words': 'quorum none none\n',
      'carriage return': 'quorum none\r\n',
      'no last newline': 'quorum none',
    };
    for (const [kind, tail] of Object.entries(bad)) {
      expect(() => policy(tail), kind).toThrow(expect.objectContaining({ code: 'bad_policy' }));
    }
    expect(() => policy('quorum none\nquorum none\n')).toThrow(/line 8/);
  });
});
