import type { ReadStream } from 'node:tty';
import { askTty } from '../gate/tty-question.js';

/** Asks the person at stdin and stdout, which must be a terminal; no answer is no yes. */
export async function confirmed(text: string): Promise<boolean> {
  const input = process.stdin as unknown as ReadStream;
  const write = (shown: string): void => void process.stdout.write(shown);
  return (await askTty({ input, write, text })) === true;
}
