import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AuditEvent } from './event.js';
import { checkScanned, type LineFacts } from './line-check.js';
import { readPlainLine } from './plain-line.js';
import { encodeEvent } from './record.js';

const noFacts = (): LineFacts => ({ seq: -1, epoch: -1, eventType: '', prevHash: '', hash: '' });

const events: AuditEvent[] = [
  { eventType: 'tool_execution' },
  {
    eventType: 'acme.deploy',
    actor: { channel: 'cli', userId: 'ü"\\\u0001', username: 'maria', agent: '😀', ip: '::1' },
    sessionId: 's',
    callId: 'c\n',
    source: '',
    action: {
      phase: 'intent',
      tool: 't',
      command: 'ls -l',
      resource: 'r',
      arguments: { path: ['/a', { deep: [1, 2] }] },
      riskLevel: 'high',
      approved: true,
      allowed: false,
      continues: 'c0',
    },
    result: { success: true, status: 'ok', exitCode: -3, durationMs: 1.5e-9, output: [null] },
    security: { policyViolation: false, rateLimitRemaining: 0, notEnforced: ['sandbox', 'x'] },
    trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) },
  },
  { eventType: 'auth_failure', actor: { userId: 'ada' }, security: { notEnforced: [] } },
];

function lineOf(event: AuditEvent): string {
  const hash = '0123456789abcdef'.repeat(4);
  const { text } = encodeEvent(event, 'test');
  return `{"seq":12,${text},"epoch":3,"prev_hash":"${hash}","hash":"${hash}"}`;
}

/** What each of the two says; the facts only where it says yes. */
function both(line: Buffer): { plain: LineFacts | undefined; scanned: LineFacts | undefined } {
  const [plain, scanned] = [noFacts(), noFacts()];
  return {
    plain: readPlainLine(line.toString('latin1'), plain) ? plain : undefined,
    scanned: checkScanned(line, 0, line.length, scanned) === undefined ? scanned : undefined,
  };
}

test('the lines that the writer makes are plain, with the facts that the scan finds', () => {
  for (const event of events) {
    const { plain, scanned } = both(Buffer.from(lineOf(event)));
    expect(plain).toBeDefined();
    expect(plain).toEqual(scanned);
  }
});

test('a line with details or a commitment is left to the scan', () => {
  expect(both(Buffer.from(lineOf({ eventType: 'a.b', details: { a: 1 } }))).plain).toBeUndefined();
  const cut = lineOf({ eventType: 'a.b', action: { command: 'x'.repeat(100_000) } });
  expect(both(Buffer.from(cut)).plain).toBeUndefined();
  expect(both(Buffer.from(cut)).scanned).toBeDefined();
});

test('whatever is done to a line, it is plain only if the scan takes it too, with the same facts', () => {
  const lines = events.map((event) => Buffer.from(lineOf(event)));
  const pieces = [
    '"',
    ',',
    '{',
    '}',
    '\\',
    ':',
    '"tool":"x",',
    ',"tool":"x"',
    '1',
    '0',
    ' ',
    '\\u00',
    'true',
  ];
  let plainOnes = 0;
  const edit = fc.record({
    line: fc.nat(lines.length - 1),
    at: fc.nat(10_000),
    remove: fc.nat(30),
    insert: fc.oneof(
      fc.constantFrom('', ...pieces),
      fc.string({ maxLength: 3, unit: 'binary' }),
      fc.record({ from: fc.nat(10_000), length: fc.nat(60) }),
    ),
  });
  fc.assert(
    fc.property(edit, ({ line, at, remove, insert }) => {
      const bytes = lines[line]!;
      const place = at % bytes.length;
      const inserted =
        typeof insert === 'string'
          ? Buffer.from(insert, 'latin1')
          : bytes.subarray(insert.from % bytes.length).subarray(0, insert.length);
      const edited = Buffer.concat([
        bytes.subarray(0, place),
        inserted,
        bytes.subarray(place + remove),
      ]);
      const { plain, scanned } = both(edited);
      if (plain === undefined) return;
      plainOnes++;
      expect(plain).toEqual(scanned);
    }),
    { numRuns: 20_000 },
  );
  expect(plainOnes).toBeGreaterThan(1_000);
});

test('a member that stands twice, or out of order, is not plain', () => {
  const line = lineOf({ eventType: 'a.b', action: { tool: 'x', resource: 'y' } });
  expect(both(Buffer.from(line)).plain).toBeDefined();
  for (const [from, to] of [
    ['"tool":"x"', '"tool":"x","tool":"x"'],
    ['"tool":"x","resource":"y"', '"resource":"y","tool":"x"'],
    ['"tool":"x",', '"tool":"x"'],
    ['"resource":"y"', '"resource":"y",'],
    ['"epoch":3', '"epoch":9007199254740993'],
    [',"action"', ',"action":{},"action"'],
  ] as const) {
    expect(line).toContain(from);
    expect(both(Buffer.from(line.replace(from, to))).plain).toBeUndefined();
  }
});

test('a line made to be slow is not', () => {
  const long = (text: string, times: number): string => text.repeat(times);
  const line = lineOf({ eventType: 'a.b', actor: { userId: 'U' }, action: { tool: 'T' } });
  const slow = [
    long('\\\\', 30_000),
    long('a', 60_000),
    long('\\u0041', 10_000),
    long('\\"', 30_000),
  ];
  for (const text of slow) {
    for (const end of ['', '\\', '\u0001']) {
      const began = performance.now();
      readPlainLine(
        line.replace('"U"', `"${text}${end}"`).replace('"T"', `"${text}${end}"`),
        noFacts(),
      );
      // A scan takes under a millisecond; whatever grows faster than the line takes minutes.
      expect(performance.now() - began).toBeLessThan(2_000);
    }
  }
});
