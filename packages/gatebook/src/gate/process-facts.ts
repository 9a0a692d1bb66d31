import * as fs from 'node:fs';

/** What proc(5) says of a process. */
export interface ProcessFacts {
  /** `Z` and `X`: it has ended. */
  readonly state: string;
  readonly parent: number;
  /** Clock ticks from the start of the machine to its own. */
  readonly began: string;
}

/** Undefined where there is no such process, or no `/proc`. */
export function processFacts(pid: number | string, proc = '/proc'): ProcessFacts | undefined {
  const text = textOf(`${proc}/${pid}/stat`);
  // proc_pid_stat(5): the name is in parentheses and may hold any character; then come the state, the parent, and as the 22nd field the start.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parent] = fields ?? [];
  const began = fields?.[19];
  if (state === undefined || parent === undefined || began === undefined) return undefined;
  return { state, parent: Number(parent), began };
}

/** Whether a process runs: one that has ended and was not waited for does not. */
export function isThere(pid: number): boolean {
  const facts = processFacts(pid);
  if (facts !== undefined) return facts.state !== 'Z' && facts.state !== 'X';
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Names the run of the machine; undefined where nothing says it. */
export function bootId(): string | undefined {
  return textOf('/proc/sys/kernel/random/boot_id')?.trim();
}

export function textOf(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
