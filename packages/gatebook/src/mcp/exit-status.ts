import { constants } from 'node:os';
import type { Exit } from './server-process.js';

/** Signals that would make this process dump core; its memory holds keys, so it does not die of them itself. */
const coreSignals: ReadonlySet<string> = new Set([
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGQUIT',
  'SIGSEGV',
  'SIGSYS',
  'SIGTRAP',
  'SIGXCPU',
  'SIGXFSZ',
]);

/**
 * Ends as the child ended: returns its exit code, or dies of the signal it died of, so that whoever waits for this
 * process sees what it would have seen of the child. Where that cannot be, returns 128 + signal number as shells do.
 */
export async function passOn(exit: Exit): Promise<number> {
  if (exit.signal === null) return exit.code ?? 1;
  if (!coreSignals.has(exit.signal)) {
    process.kill(process.pid, exit.signal);
    // A signal to oneself arrives at once or, where it is ignored or does not end a process, not at all.
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return 128 + (constants.signals[exit.signal] ?? 0);
}
