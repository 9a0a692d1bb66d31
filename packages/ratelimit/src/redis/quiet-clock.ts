import { type Clock, systemClock } from '../clock.js';

/** A timer cannot be set further than this. */
const timerMostMs = 2 ** 31 - 1;

/** The system's clock, of which no timer keeps the process alive; any other is taken as it is. */
export function quiet(clock: Clock): Clock {
  if (clock !== systemClock) return clock;
  return {
    now: clock.now,
    wall: clock.wall,
    wake: (ms, call) => {
      const timer = setTimeout(call, Math.min(ms, timerMostMs)).unref();
      return () => clearTimeout(timer);
    },
  };
}
