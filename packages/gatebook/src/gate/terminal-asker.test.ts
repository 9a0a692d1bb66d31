import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

const program = fileURLToPath(new URL('fixture-terminal.js', import.meta.url));
let file: string;

beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'gatebook-terminal-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  file = join(folder, 'verdict');
});

/** What a shell command shows on a terminal of its own; `met` is told each time something is shown. */
async function onTerminal(
  command: string,
  met: (shown: string, child: ChildProcessWithoutNullStreams) => void = () => undefined,
): Promise<string> {
  const child = spawn('script', ['-qec', command, '/dev/null']);
  let shown = '';
  child.stdout.on('data', (part: Buffer) => {
    shown += part.toString();
    met(shown, child);
  });
  await new Promise((resolve) => child.once('close', resolve));
  return shown;
}

const asking = (): string => `'${process.execPath}' '${program}' '${file}'`;
const verdict = (): unknown => JSON.parse(readFileSync(file, 'utf8'));

/** Types a line once it is asked. */
async function typed(line: string): Promise<string> {
  let done = false;
  // Neither stdin nor stdout is the terminal: those are the command's.
  return await onTerminal(`${asking()} < /dev/null > /dev/null`, (shown, child) => {
    if (done || !shown.includes('[y/N]')) return;
    done = true;
    child.stdin.write(line);
  });
}

test('a person at the terminal says yes', async () => {
  const shown = await typed('y\n');
  expect(verdict()).toMatchObject({ approved: true, reach: 'once', how: 'terminal' });
  expect(shown).toContain('"\\u001b[2J\\u{202e}"');
  expect(shown).toContain('SHA-256');
});

test('anything else is a no', async () => {
  await typed('\n');
  expect(verdict()).toMatchObject({ approved: false });
});

test('a question that was answered elsewhere ends, and says so', async () => {
  let pid: string | undefined;
  const shown = await onTerminal(`${asking()} < /dev/null`, (text) => {
    if (pid !== undefined || !text.includes('[y/N]')) return;
    pid = /"(\d+)"\s+\| {3}\]/.exec(text)?.[1];
    process.kill(Number(pid), 'SIGUSR2');
  });
  expect(verdict()).toBeNull();
  expect(shown).toContain('this question has ended without an answer here');
});

test('without a terminal, or in its background, nobody is asked', async () => {
  const child = spawn(process.execPath, [program, file], { detached: true });
  await new Promise((resolve) => child.once('close', resolve));
  expect(verdict()).toBeNull();
  rmSync(file);
  const shown = await onTerminal(`set -m; ${asking()} & wait`);
  expect(verdict()).toBeNull();
  expect(shown).not.toContain('[y/N]');
});
