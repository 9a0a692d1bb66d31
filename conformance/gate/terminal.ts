import { spawn } from 'node:child_process';
import { gatebookBin } from '../cli/gatebook.js';

/** What somebody at a terminal saw, and how the command ended. */
export interface Seen {
  readonly code: number | null;
  readonly text: string;
}

/** The words by which a command runs on a terminal of its own (`script` of util-linux makes one) and keeps its exit code. */
export function terminalWords(words: readonly string[]): string[] {
  const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  return ['script', '-qec', quoted, '/dev/null'];
}

/** Runs gatebook on a terminal, and types `answer` once it asks. */
export async function onTerminal(
  args: readonly string[],
  answer: string,
  env: Readonly<Record<string, string>>,
): Promise<Seen> {
  const [file, ...rest] = terminalWords([process.execPath, gatebookBin, ...args]);
  const child = spawn(file!, rest, { env: { ...process.env, ...env } });
  let text = '';
  let typed = false;
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
    if (typed || !text.includes('[y/N]')) return;
    typed = true;
    child.stdin.write(answer);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text: text.replaceAll('\r\n', '\n') };
}
