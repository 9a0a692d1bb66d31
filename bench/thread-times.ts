import * as fs from 'node:fs';

/** Linux counts a thread's time in hundredths of a second, wherever Node runs. */
const tickUs = 10_000;

/** Microseconds of processor time that each thread of this process has used, by thread id, oldest first. */
export function threadTimes(): ReadonlyMap<number, number> {
  const ids = fs.readdirSync('/proc/self/task').map(Number);
  return new Map(
    ids
      .sort((a, b) => a - b)
      .flatMap((id) => {
        const us = timeOf(id);
        return us === undefined ? [] : [[id, us] as const];
      }),
  );
}

function timeOf(id: number): number | undefined {
  try {
    const stat = fs.readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
    // The name in brackets may hold anything; utime and stime are the 12th and 13th behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * tickUs;
  } catch {
    // The thread has ended meanwhile.
    return undefined;
  }
}
