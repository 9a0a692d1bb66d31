import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadStream } from 'node:tty';

export interface TtyQuestion {
  readonly input: ReadStream;
  /** Takes what is shown. */
  readonly write: (text: string) => void;
  /** What is shown before the answer is awaited; nothing in it may act on the terminal. */
  readonly text: string;
  readonly signal?: AbortSignal | undefined;
}

/** Yes and no are short; a longer line is no yes. */
const answerBytesMax = 1_024;
/** What was typed before the question stood there is no answer to it; it arrives within this. */
const typedAheadMs = 50;

/**
 * Asks a person at a terminal. Only a line that says `y` or `yes` is a yes, any other line is a no; undefined where the terminal ends or
 * the signal does.
 */
export async function askTty(question: TtyQuestion): Promise<boolean | undefined> {
  const { input, write, text, signal } = question;
  await forgetTypedAhead(input);
  if (signal?.aborted) return undefined;
  const answer = nextLine(input, signal);
  write(text);
  const line = await answer;
  return line === undefined ? undefined : /^(y|yes)$/i.test(line.trim());
}

/** A line that is not ended yet is handed out only while the terminal is raw. */
async function forgetTypedAhead(input: ReadStream): Promise<void> {
  const drop = (): void => undefined;
  input.on('data', drop);
  input.setRawMode(true);
  await sleep(typedAheadMs);
  input.setRawMode(false);
  input.off('data', drop);
}

async function nextLine(
  input: ReadStream,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  return await new Promise((resolve) => {
    let line = '';
    const end = (said: string | undefined): void => {
      input.off('data', hear).off('end', gone).off('error', gone).off('close', gone).pause();
      signal?.removeEventListener('abort', gone);
      resolve(said);
    };
    const gone = (): void => end(undefined);
    const hear = (part: Buffer | string): void => {
      line += part.toString();
      const newline = line.indexOf('\n');
      if (newline !== -1) end(line.slice(0, newline));
      else if (line.length > answerBytesMax) end(line);
    };
    input.on('data', hear).on('end', gone).on('error', gone).on('close', gone);
    signal?.addEventListener('abort', gone, { once: true });
    input.resume();
  });
}
