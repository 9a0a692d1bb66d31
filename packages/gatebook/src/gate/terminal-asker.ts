import { closeSync, openSync, readFileSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import { askedRules } from './asked-rules.js';
import type { Asked, Asker } from './asker.js';
import { actorOf, argumentsDigest, nameOf, shownArguments } from './call.js';
import { callText } from './call-text.js';
import { personName } from './person.js';
import type { Verdict } from './state/approvals.js';
import { askTty } from './tty-question.js';

/**
 * Asks on the terminal of this process, one question after the other. A `y` or `yes` lets the call pass once, any other line refuses it.
 * Undefined where there is no terminal, this process is in its background, or the question has ended otherwise, which is said there.
 */
export function terminalAsker(): Asker {
  let before: Promise<unknown> = Promise.resolve();
  return (asked) => {
    const mine = before.then(() => ask(asked));
    before = mine.catch(() => undefined);
    return mine;
  };
}

async function ask(asked: Asked): Promise<Verdict | undefined> {
  if (asked.signal.aborted || !isForeground()) return undefined;
  const terminal = openTerminal();
  if (terminal === undefined) return undefined;
  const { input, output } = terminal;
  const write = (text: string): void => void output.write(text);
  try {
    const text = `${callText(shownOf(asked), output.columns)}Allow this call? [y/N] `;
    const approved = await askTty({ input, write, text, signal: asked.signal });
    if (approved === undefined) {
      write('\ngatebook: this question has ended without an answer here\n');
      return undefined;
    }
    return { approved, reach: 'once', by: personName(), how: 'terminal' };
  } finally {
    input.destroy();
    output.destroy();
  }
}

function shownOf({ id, call, decision }: Asked): Parameters<typeof callText>[0] {
  const text = shownArguments(call);
  return {
    id,
    session: call.sessionId,
    actor: actorOf(call.actor),
    tool: nameOf(call),
    server: call.serverIdentity ?? '',
    ...askedRules(decision),
    digest: argumentsDigest(call),
    risk: decision.risk,
    reasons: decision.reasons,
    text,
    bytes: Buffer.byteLength(text),
    pid: process.pid,
  };
}

interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/** The terminal itself, whatever stdin and stdout are. */
function openTerminal(): Terminal | undefined {
  const fds: number[] = [];
  try {
    fds.push(openSync('/dev/tty', 'r'), openSync('/dev/tty', 'w'));
    const [read, written] = fds;
    const input = new ReadStream(read!);
    const output = new WriteStream(written!);
    for (const stream of [input, output]) stream.on('error', () => undefined);
    return { input, output };
  } catch {
    for (const fd of fds) closeSync(fd);
    return undefined;
  }
}

/** To read the terminal from the background would stop this process, and with it the log. Where that is not known, it is tried. */
function isForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , group, , , ofTerminal] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === ofTerminal;
  } catch {
    return true;
  }
}
