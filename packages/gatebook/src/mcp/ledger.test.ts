import { AuditError, type AuditEvent } from '@gatebook/audit';
import { expect, test } from 'vitest';
import { FixtureBook } from './fixture-book.js';
import { Ledger, type OnLogFailure } from './ledger.js';

const event: AuditEvent = { eventType: 'tool_execution', details: { n: 1 } };

function setUp(onLogFailure: OnLogFailure, open?: () => Promise<FixtureBook>) {
  const book = new FixtureBook();
  const lines: string[] = [];
  const ledger = new Ledger({
    open: open ?? (async () => book),
    onLogFailure,
    report: (line) => lines.push(line),
    reopenAfterMs: 0,
  });
  return { book, lines, ledger };
}

test('an intent that was recorded gives no reason against the call', async () => {
  const { book, ledger, lines } = setUp('refuse');
  await ledger.open({ passUnavailable: true });
  expect(await ledger.intent(event)).toBeUndefined();
  expect(book.events).toEqual([event]);
  await ledger.close();
  expect(book.closed).toBe(true);
  expect(lines).toEqual([]);
});

test('a failing log is reported once, refuses calls, and its gap is marked when it works again', async () => {
  const { book, ledger, lines } = setUp('refuse');
  book.failWith = 'write_failed';
  expect(await ledger.intent(event)).toContain('write_failed');
  expect(await ledger.fact(event)).toBe(false);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('refused');
  book.failWith = undefined;
  expect(await ledger.intent(event)).toBeUndefined();
  expect(await ledger.intent(event)).toBeUndefined();
  expect(book.events[0]).toEqual({ ...event, details: { n: 1, unrecorded_before: 2 } });
  expect(book.events[1]).toEqual(event);
  expect(lines).toHaveLength(2);
});

test('a mark that is lost with its record goes to the next, also to one that was handed in meanwhile', async () => {
  const { book, ledger } = setUp('allow');
  book.failWith = 'write_failed';
  await ledger.intent(event);
  const lost = ledger.fact(event);
  const next = [ledger.intent(event), ledger.intent(event)];
  book.failWith = undefined;
  expect(await lost).toBe(false);
  await Promise.all(next);
  expect(book.events).toEqual([
    { ...event, details: { n: 1, unrecorded_before: 2 }, security: { notEnforced: ['audit'] } },
    event,
  ]);
});

test("by the operator's choice calls pass unrecorded, and the book says so afterwards", async () => {
  const { book, ledger, lines } = setUp('allow');
  book.failWith = 'write_failed';
  expect(await ledger.intent(event)).toBeUndefined();
  expect(await ledger.intent(event)).toBeUndefined();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('PASS UNRECORDED');
  book.failWith = undefined;
  await ledger.intent(event);
  expect(book.events).toEqual([
    { ...event, details: { n: 1, unrecorded_before: 2 }, security: { notEnforced: ['audit'] } },
  ]);
});

test('a log that another process holds is tried again with each call', async () => {
  let locked = true;
  const book = new FixtureBook();
  const { ledger, lines } = setUp('refuse', async () => {
    if (locked) throw new AuditError('log_unavailable', 'process 7 does not answer');
    return book;
  });
  await ledger.open({ passUnavailable: true });
  expect(lines[0]).toContain('process 7');
  expect(await ledger.intent(event)).toContain('process 7');
  locked = false;
  expect(await ledger.intent(event)).toBeUndefined();
  expect(book.events).toHaveLength(1);
});

test('a damaged log is an error at the start, unless calls may pass unrecorded', async () => {
  const damaged = async (): Promise<FixtureBook> => {
    throw new AuditError('log_damaged', 'fewer records than the head');
  };
  await expect(setUp('refuse', damaged).ledger.open({ passUnavailable: true })).rejects.toThrow(
    'head',
  );
  const { ledger, lines } = setUp('allow', damaged);
  await ledger.open({ passUnavailable: true });
  expect(await ledger.intent(event)).toBeUndefined();
  expect(lines).toHaveLength(1);
});

test('a log that has failed for good is let go of and opened again', async () => {
  const books: FixtureBook[] = [];
  const { ledger } = setUp('refuse', async () => {
    const book = new FixtureBook();
    books.push(book);
    return book;
  });
  await ledger.open({ passUnavailable: true });
  books[0]!.failWith = 'log_failed';
  expect(await ledger.intent(event)).toContain('log_failed');
  expect(await ledger.intent(event)).toBeUndefined();
  expect(books).toHaveLength(2);
  expect(books[0]!.closed).toBe(true);
  expect(books[1]!.events).toHaveLength(1);
});

test('an outcome waits for room, an intent does not', async () => {
  const { book, ledger } = setUp('refuse');
  book.failWith = 'queue_full';
  expect(await ledger.intent(event)).toContain('queue_full');
  const fact = ledger.fact(event);
  setTimeout(() => {
    book.failWith = undefined;
  }, 10);
  expect(await fact).toBe(true);
});

test('what is missing at the end is said', async () => {
  const { book, ledger, lines } = setUp('refuse');
  book.failWith = 'write_failed';
  await ledger.fact(event);
  await ledger.close();
  expect(lines.at(-1)).toContain('1 record(s) are missing');
});
