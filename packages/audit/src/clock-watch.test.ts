import { expect, test } from 'vitest';
import { ClockWatch } from './clock-watch.js';
import { FakeClock } from './testing/fake-clock.js';

/** A clock whose reader is held before some reading of it. */
class HeldClock extends FakeClock {
  #readings = 0;
  readonly #held: number;

  constructor(held: number) {
    super();
    this.#held = held;
  }

  override wallMs(): number {
    this.#holdAt();
    return super.wallMs();
  }

  override monotonicMs(): number {
    this.#holdAt();
    return super.monotonicMs();
  }

  #holdAt(): void {
    if (this.#readings++ === this.#held) this.pass(5_000);
  }

  get readings(): number {
    return this.#readings;
  }
}

test('a process that is held between its looks at two clocks sees no jump', () => {
  for (let held = 0, all = 1; held < all; held++) {
    const clock = new HeldClock(held);
    const watch = new ClockWatch(clock);
    for (let i = 0; i < 2; i++) {
      expect(watch.look(), `held before reading ${held}`).toBeUndefined();
      watch.seen();
      clock.pass(100);
    }
    all = clock.readings;
    expect(all).toBe(9);
  }
});

test('a jump is one in spite of that, once, and as far as it is certain', () => {
  for (const jump of [-60_000, 60_000]) {
    for (let held = 0; held < 9; held++) {
      const clock = new HeldClock(held);
      const watch = new ClockWatch(clock);
      clock.jump(jump);
      const seen = watch.look();
      const far = (seen?.nowMs ?? 0) - (seen?.expectedMs ?? 0);
      expect(Math.abs(far - jump), `${jump}, held before reading ${held}`).toBeLessThanOrEqual(
        5_000,
      );
      watch.seen();
      expect(watch.look()).toBeUndefined();
    }
  }
});

test('a clock that stands elsewhere for one reading is noticed, or has no effect', () => {
  class WrongOnce extends FakeClock {
    #left: number;

    constructor(at: number) {
      super();
      this.#left = at;
    }

    override wallMs(): number {
      return super.wallMs() - (this.#left-- === 0 ? 60_000 : 0);
    }
  }
  for (let at = 0; at < 5; at++) {
    const clock = new WrongOnce(at);
    const watch = new ClockWatch(clock);
    let expected = new FakeClock().wallMs() - (at === 0 ? 60_000 : 0);
    for (let i = 0; i < 3; i++) {
      const jump = watch.look();
      expected += jump === undefined ? 0 : jump.nowMs - jump.expectedMs;
      watch.seen();
      clock.pass(100);
      expected += 100;
      expect(watch.wallMs, `wrong at reading ${at}, look ${i}`).toBe(expected);
    }
    expect(expected - new FakeClock().wallMs() - 300).toBe(at === 3 ? -60_000 : 0);
  }
});

test('two seconds are a jump, less is none', () => {
  const clock = new FakeClock();
  const watch = new ClockWatch(clock);
  clock.jump(1_999);
  expect(watch.look()).toBeUndefined();
  clock.jump(1);
  const { expectedMs, nowMs } = watch.look() ?? { expectedMs: 0, nowMs: 0 };
  expect(nowMs - expectedMs).toBe(2_000);
  clock.jump(-4_000);
  expect(watch.look()).toMatchObject({ nowMs: expectedMs - 2_000 });
});
