import { join } from 'node:path';
import { openWallClock } from '../attacks/wall-clock.js';
import { repository } from '../cli/gatebook.js';

const dayS = 86_400;

/** The clocks of started processes, as they stand on some day. A process that runs on sees the days pass. */
export interface Calendar {
  /** For processes that only live for the day that was set. */
  readonly env: () => Readonly<Record<string, string>>;
  /** For processes that run on. */
  readonly lasting: Readonly<Record<string, string>>;
  /** Days from today. */
  set(day: number): Promise<void>;
}

export async function openCalendar(dir: string): Promise<Calendar> {
  const wall = await openWallClock(dir);
  const preload = join(repository, 'conformance', 'year', 'uptime-ahead.cjs');
  let today = 0;
  return {
    env: () => ({
      ...wall.env,
      UPTIME_AHEAD: String(today * dayS),
      NODE_OPTIONS: `${wall.env.NODE_OPTIONS} --require=${preload}`,
    }),
    lasting: wall.env,
    set: async (day) => {
      today = day;
      await wall.set(day * dayS);
    },
  };
}
