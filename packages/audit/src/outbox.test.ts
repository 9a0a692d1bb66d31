import { expect, test } from 'vitest';
import { AuditError } from './errors.js';
import { FrameReader, frameHeader, jsonFrame, parseText, textFrame } from './frames.js';
import { messageBytesMax, messagesMax } from './hook.js';
import { Outbox, type Way } from './outbox.js';
import { fromDoor, toDoor } from './relay-messages.js';

/** A writer that remembers what it was sent. */
class FakeWriter implements Way {
  readonly pid = 4_711;
  readonly sent: { readonly id: number; readonly text: string }[] = [];
  readonly #reader = new FrameReader((kind, payload) => {
    expect(kind).toBe(toDoor.consult);
    this.sent.push(parseText(payload, messageBytesMax));
  });
  constructor(readonly host: string) {}
  write(frame: Uint8Array): void {
    this.#reader.push(Buffer.from(frame));
  }
}

/** What each message came to, by its text. */
function consult(outbox: Outbox, texts: readonly string[]): Map<string, string> {
  const outcomes = new Map<string, string>();
  for (const text of texts) {
    outbox.consult(text).then(
      ({ answer, host }) => outcomes.set(text, `${answer} of ${host}`),
      (error: AuditError) => outcomes.set(text, error.code),
    );
  }
  return outcomes;
}

function say(outbox: Outbox, frame: Buffer): boolean {
  let taken = false;
  new FrameReader((kind, payload) => {
    taken = outbox.take(kind, payload);
  }).push(frame);
  return taken;
}

const answered = (id: number, text: string): Buffer => textFrame(fromDoor.consulted, id, text);
const refused = (id: number, code?: string): Buffer =>
  jsonFrame(fromDoor.notConsulted, { id, ...(code && { error: { code, message: code } }) });
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `m${at}`);

test('64 messages are sent to a writer, and one more for each that is answered', async () => {
  const outbox = new Outbox();
  const writer = new FakeWriter('h');
  const outcomes = consult(outbox, names(70));
  expect([outbox.owes, outbox.isKnown]).toEqual([true, false]);
  outbox.open(writer);
  expect(writer.sent.map(({ text }) => text)).toEqual(names(messagesMax));
  expect(say(outbox, answered(1, 'yes'))).toBe(true);
  expect(say(outbox, refused(0, 'hook_failed'))).toBe(true);
  expect(writer.sent.slice(messagesMax)).toEqual([
    { id: 64, text: 'm64' },
    { id: 65, text: 'm65' },
  ]);
  // Nobody was asked this.
  expect(say(outbox, answered(9_999, 'no'))).toBe(true);
  expect(say(outbox, Buffer.concat([frameHeader(fromDoor.alive, 2), Buffer.from('{}')]))).toBe(
    false,
  );
  await settled();
  expect([...outcomes]).toEqual([
    ['m1', 'yes of h'],
    ['m0', 'hook_failed'],
  ]);
  expect(outbox.isKnown).toBe(true);
});

test('what a writer did not consider or did not read goes to the next, in order; the rest is not known', async () => {
  const outbox = new Outbox();
  const [first, second] = [new FakeWriter('first'), new FakeWriter('second')];
  outbox.open(first);
  const outcomes = consult(outbox, names(8));
  say(outbox, refused(3));
  say(outbox, refused(1));
  // Nothing more is sent to a writer that is ending; its last answers are taken.
  const more = consult(outbox, ['n']);
  expect(first.sent).toHaveLength(8);
  say(outbox, answered(2, 'last'));
  outbox.lose(first.pid, 6);
  await settled();
  expect([...outcomes].sort()).toEqual([
    ['m0', 'unknown_outcome'],
    ['m2', 'last of first'],
    ['m4', 'unknown_outcome'],
    ['m5', 'unknown_outcome'],
  ]);
  outbox.open(second);
  expect(second.sent).toEqual(['m1', 'm3', 'm6', 'm7', 'n'].map((text, id) => ({ id, text })));
  say(outbox, answered(4, 'new'));
  await settled();
  expect(more.get('n')).toBe('new of second');
});

test('a writer that dies without a word has read everything, as far as anybody knows', async () => {
  const outbox = new Outbox();
  outbox.open(new FakeWriter('h'));
  const outcomes = consult(outbox, names(messagesMax + 1));
  outbox.lose(1);
  await settled();
  expect(outcomes.size).toBe(messagesMax);
  expect(new Set(outcomes.values())).toEqual(new Set(['unknown_outcome']));
  expect(outbox.owes).toBe(true);
  outbox.fail(new AuditError('log_unavailable', ''));
  await settled();
  expect(outcomes.get(`m${messagesMax}`)).toBe('log_unavailable');
  expect(outbox.owes).toBe(false);
});

test('where a writer’s program is too busy for one message, those behind it do not wait their time too', async () => {
  const outbox = new Outbox();
  outbox.open(new FakeWriter('h'));
  const outcomes = consult(outbox, names(messagesMax + 3));
  say(outbox, refused(0, 'log_unavailable'));
  await settled();
  expect([...outcomes.keys()].sort()).toEqual(['m0', 'm64', 'm65', 'm66']);
  expect(new Set(outcomes.values())).toEqual(new Set(['log_unavailable']));
});
