import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../manual-clock.js';
import { Agenda } from './agenda.js';
import type { Ask } from './ask.js';
import { Bookings, type Outcome } from './bookings.js';
import type { Reply } from './reply.js';
import type { Term } from './term.js';

/** One token each ms, five at once. */
const term = { kind: 'r', max: 5, count: 1, perToken: 1_000, shadow: false } as unknown as Term;

function askOf(cost: number): Ask {
  return { terms: [term], keys: ['all'], costs: [cost] } as unknown as Ask;
}

/** What the store says when its bucket lacks so many tokens after it was booked. */
function lacking(tokens: number): Reply {
  return { code: 'booked', nowUs: 0, marks: [tokens * 1_000], waits: [0], blocks: [0] };
}

function setUp(confirm: (idKeys: readonly string[]) => Promise<readonly boolean[]>) {
  const clock = new ManualClock();
  const bookings = new Bookings(clock, new Agenda(clock), confirm);
  const said: [string, Outcome][] = [];
  const book = (idKey: string, cost: number, tokens: number, gapsMade = bookings.gapsMade) =>
    bookings.add({ idKey, ask: askOf(cost), reply: lacking(tokens), gapsMade }, (outcome) =>
      said.push([idKey, outcome]),
    );
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left--) {
      clock.advance(1);
      for (let turn = 0; turn < 10; turn++) await undefined;
    }
  };
  return { bookings, book, pass, said, clock };
}

describe('bookings', () => {
  test('are confirmed when they are ready, those of one moment together', async () => {
    const questions: (readonly string[])[] = [];
    const { book, pass, said } = setUp(async (idKeys) => {
      questions.push(idKeys);
      return idKeys.map(() => true);
    });
    book('a', 2, 7);
    book('b', 0, 7);
    book('c', 1, 8);
    await pass(1);
    expect(questions).toEqual([]);
    await pass(1);
    expect(questions).toEqual([['a', 'b']]);
    await pass(1);
    expect(said).toEqual([
      ['a', 'kept'],
      ['b', 'kept'],
      ['c', 'kept'],
    ]);
  });

  test('are lost with the store, or say why it did not answer', async () => {
    const error = new Error('away');
    let isAway = false;
    const { book, pass, said } = setUp(async (idKeys) => {
      if (isAway) throw error;
      return idKeys.map((idKey) => idKey !== 'a');
    });
    book('a', 1, 6);
    book('b', 0, 6);
    book('c', 1, 7);
    await pass(1);
    isAway = true;
    await pass(1);
    expect(said).toEqual([
      ['a', 'lost'],
      ['b', 'kept'],
      ['c', { error }],
    ]);
  });

  test('move forward when one before is given up, and not when one behind is', async () => {
    const { bookings, book, pass, said } = setUp(async (idKeys) => idKeys.map(() => true));
    book('a', 5, 10);
    const heavy = book('b', 100, 110);
    book('c', 1, 111);
    const last = book('d', 50, 161);
    bookings.cancel(heavy);
    bookings.cancel(last);
    await pass(4);
    expect(said).toEqual([]);
    await pass(2);
    expect(said).toEqual([
      ['a', 'kept'],
      ['c', 'kept'],
    ]);
    await pass(200);
    expect(said.length).toBe(2);
    expect(bookings.lastMs('all')).toBe(undefined);
  });

  test('that were on their way when one was given up move forward too', async () => {
    const { bookings, book, pass, said } = setUp(async (idKeys) => idKeys.map(() => true));
    const heavy = book('a', 100, 105);
    const asked = bookings.gapsMade;
    bookings.cancel(heavy);
    await pass(1);
    book('b', 1, 106, asked);
    // Asked for afterwards: the store has left out what was given up.
    book('c', 1, 7);
    await pass(3);
    expect(said.map(([idKey]) => idKey)).toEqual(['b', 'c']);
  });

  test('never use more by any time than has come in until then', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ cost: fc.integer({ min: 1, max: 9 }), isOurs: fc.boolean() }), {
          maxLength: 40,
        }),
        fc.array(fc.tuple(fc.nat(40), fc.nat(60)), { maxLength: 20 }),
        async (asked, givenUp) => {
          const { bookings, book, pass, said } = setUp(async (idKeys) => idKeys.map(() => true));
          let tokens = 5;
          const others: number[] = [];
          const ours = asked.flatMap(({ cost, isOurs }, place) => {
            tokens += cost;
            if (isOurs)
              return [{ cost, booking: book(String(place), cost, tokens), isGone: false }];
            for (let token = 0; token < cost; token++) others.push(tokens - 5);
            return [];
          });
          const costOf = new Map(ours.map(({ cost, booking }) => [booking.idKey, cost]));
          const total = tokens - 5;
          let used = 0;
          let seen = 0;
          for (let ms = 1; ms <= total + 5; ms++) {
            for (const [which, atMs] of givenUp) {
              if (atMs === ms && ours[which] !== undefined) bookings.cancel(ours[which].booking);
            }
            await pass(1);
            for (; seen < said.length; seen++) used += costOf.get(said[seen]![0])!;
            expect(used + others.filter((at) => at <= ms).length).toBeLessThanOrEqual(ms);
          }
          expect(said.length + ours.filter(({ booking }) => booking.isOver).length).toBe(
            ours.length + said.length,
          );
        },
      ),
      { numRuns: 50 },
    );
  });
});
