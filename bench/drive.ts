import type { Load } from './plan.js';

/** What one stretch of appending took. */
export interface Run {
  readonly records: number;
  readonly ms: number;
  /** User and system time of all threads of this process. */
  readonly cpuUs: number;
  /** Milliseconds, one a record; kept only where there is one in flight. */
  readonly latencies: readonly number[];
}

/** Starts the clocks; call the result when all is done. */
export function startRun(): (records: number, latencies?: readonly number[]) => Run {
  const cpu = process.cpuUsage();
  const start = performance.now();
  return (records, latencies = []) => {
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    return { records, ms, cpuUs: user + system, latencies };
  };
}

/** Calls `append` so that `load.inFlight` calls are always unanswered, until a bound of the load is reached. */
export async function keepInFlight(load: Load, append: () => Promise<void>): Promise<Run> {
  const finish = startRun();
  const until = performance.now() + load.msMax;
  const latencies: number[] = [];
  let begun = 0;
  const lane = async (): Promise<void> => {
    let start = performance.now();
    while (begun < load.recordsMax && start < until) {
      begun++;
      await append();
      const end = performance.now();
      if (load.inFlight === 1) latencies.push(end - start);
      start = end;
    }
  };
  await Promise.all(Array.from({ length: load.inFlight }, lane));
  return finish(begun, latencies);
}

/** Calls `appendBatch`, which takes `load.inFlight` records at a time, until a bound of the load is reached. */
export function batchAfterBatch(load: Load, appendBatch: () => void): Run {
  const finish = startRun();
  const until = performance.now() + load.msMax;
  const latencies: number[] = [];
  let records = 0;
  let start = performance.now();
  while (records < load.recordsMax && start < until) {
    appendBatch();
    const end = performance.now();
    if (load.inFlight === 1) latencies.push(end - start);
    start = end;
    records += load.inFlight;
  }
  return finish(records, latencies);
}
