import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { isatty } from 'node:tty';
import type { AuditEvent, AuditLogOptions, Result, ServedLogOptions } from '@gatebook/audit';
import type { GateCall } from '../gate/call.js';
import { openGate } from '../gate/open-gate.js';
import { clientSession } from '../gate/session-id.js';
import type { GateSettings } from '../gate/settings.js';
import { terminalAsker } from '../gate/terminal-asker.js';
import { passOn } from '../mcp/exit-status.js';
import { newCallId } from '../mcp/ids.js';
import { Ledger, type OnLogFailure, reasonOf } from '../mcp/ledger.js';
import { noticed } from '../mcp/notice.js';
import { wellFormed } from '../mcp/server-line.js';
import { type Exit, StartError, started } from '../mcp/server-process.js';
import { openLog } from '../open-log.js';
import type { Recording } from '../recording.js';
import { childEnvironment } from '../secret-variables.js';
import { commandText } from './command-text.js';

export interface ExecOptions {
  /** The command and its arguments; no shell reads them. */
  readonly command: readonly string[];
  readonly user?: string | undefined;
  readonly channel?: string | undefined;
  readonly agent?: string | undefined;
  readonly log: AuditLogOptions | ServedLogOptions;
  /** What is recorded; everything by default. */
  readonly recording?: (() => Recording) | undefined;
  /** What it is part of; by default all that the same process starts. */
  readonly session?: string | undefined;
  readonly settings: GateSettings;
  /** Recorded before anything else. */
  readonly first?: AuditEvent | undefined;
  /** What happens when the command cannot be recorded; default `refuse`. */
  readonly onLogFailure?: OnLogFailure | undefined;
  /** The command's environment; default: our own. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Where our own messages go; default: our stderr. The command's stdio is always ours. */
  readonly report?: ((line: string) => void) | undefined;
}

/**
 * Runs a command with our stdio and records it: an intent on disk before the start, an outcome after the end. Returns
 * the exit code to end with: the command's own; 127 or 126 when it could not be started; 1 when it was not run because
 * it could not be recorded. When the command dies of a signal, or one comes before it is started, this process dies of the same.
 */
export async function runExec(options: ExecOptions): Promise<number> {
  const report = options.report ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const ledger = new Ledger({
    open: async () => noticed(await openLog(options.log), report),
    onLogFailure: options.onLogFailure ?? 'refuse',
    recording: options.recording,
    report,
    reopenAfterMs: 0,
  });
  try {
    await ledger.open({ passUnavailable: false });
  } catch (error) {
    report(`gatebook: not run, because it cannot be recorded: ${reasonOf(error)}`);
    return 1;
  }
  if (options.first !== undefined) await ledger.fact(options.first);
  const frame = frameOf(options);
  const { gate } = openGate({
    ledger,
    settings: options.settings,
    allows: options.onLogFailure === 'allow',
    isOn: () => options.recording?.().enabled ?? true,
    ask: terminalAsker(),
    report,
  });
  const told = new Told();
  const admitted = await gate.admit(callOf(frame, options, told.giveUp));
  if (!admitted.allowed) {
    told.end();
    report(`gatebook: not run: ${admitted.reason}`);
    await gate.close();
    await ledger.close();
    if (told.signal !== undefined) return passOn({ code: null, signal: told.signal });
    return admitted.code === 'log_unavailable' ? 1 : refusedExit;
  }
  const since = performance.now();
  const ended = told.signal === undefined ? await runToEnd(options) : new NotRun(told.signal);
  told.end();
  const durationMs = Math.round((performance.now() - since) * 1000) / 1000;
  if (ended instanceof NotRun) await admitted.notMade();
  const result = resultOf(ended);
  await ledger.fact(outcomeOf(frame, options, { ...result, durationMs }));
  await admitted.ended(result.success === true);
  await gate.close();
  await ledger.close();
  if (ended instanceof NotRun) report(`gatebook: not run: ${ended.reason}`);
  if (!(ended instanceof StartError)) return passOn(ended);
  report(`gatebook: ${ended.message}`);
  return ended.exitCode;
}

/** As shells give it for what is there and may not be run. */
const refusedExit = 126;

/** Listens to the signals that come before the command runs: they end the wait for it, and it is not started then. */
class Told {
  readonly #giveUp = new AbortController();
  #signal: NodeJS.Signals | undefined;
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#signal ??= signal;
    this.#giveUp.abort(`${signal} came`);
  };

  constructor() {
    for (const signal of forwarded) process.on(signal, this.#onSignal);
  }

  get giveUp(): AbortSignal {
    return this.#giveUp.signal;
  }

  /** The first one that came. */
  get signal(): NodeJS.Signals | undefined {
    return this.#signal;
  }

  /** From now on they do what they do to any process. */
  end(): void {
    for (const signal of forwarded) process.off(signal, this.#onSignal);
  }
}

/** What was let through and not started, for a signal came before. This process ends as the command would have. */
class NotRun implements Exit {
  readonly code = null;
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    this.signal = signal;
  }

  get reason(): string {
    return `${this.signal} came before it was started`;
  }
}

function callOf(frame: Frame, options: ExecOptions, signal: AbortSignal): GateCall {
  return {
    actor: frame.actor ?? {},
    sessionId: frame.sessionId ?? '',
    name: 'exec',
    isTool: true,
    arguments: { argv: options.command },
    intent: intentOf(frame, options),
    signal,
  };
}

type Frame = Pick<AuditEvent, 'actor' | 'sessionId' | 'callId' | 'source'>;

function frameOf(options: ExecOptions): Frame {
  const { user, channel, agent } = options;
  return {
    actor: { channel, userId: user, agent },
    sessionId: options.session ?? clientSession(),
    callId: newCallId(),
    source: basename(options.command[0] ?? ''),
  };
}

function intentOf(frame: Frame, options: ExecOptions): AuditEvent {
  return {
    eventType: 'command_execution',
    ...frame,
    action: {
      phase: 'intent',
      command: commandText(options.command).toWellFormed(),
      arguments: options.command.map((word) => word.toWellFormed()),
    },
    details: { cwd: workingDirectory() },
  };
}

/** The outcome names the command too, but only its beginning: the intent has all of it. */
function outcomeOf(frame: Frame, options: ExecOptions, result: Result): AuditEvent {
  return {
    eventType: 'command_execution',
    ...frame,
    action: { phase: 'outcome', command: wellFormed(commandText(options.command), 1024) },
    result,
  };
}

function workingDirectory(): string {
  try {
    return process.cwd().toWellFormed();
  } catch {
    return '(gone)';
  }
}

function resultOf(ended: Exit | StartError): Result {
  if (ended instanceof NotRun) return { success: false, status: 'cancelled', error: ended.reason };
  if (ended instanceof StartError) {
    return { success: false, status: 'not_started', error: ended.message };
  }
  const { code, signal } = ended;
  const success = code === 0;
  return {
    success,
    status: success ? 'ok' : 'error',
    ...(code === null ? {} : { exitCode: code }),
    ...(signal === null ? {} : { signal }),
  };
}

const forwarded: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];
/** A terminal sends these to the whole foreground group, so the command has them already. */
const fromTerminal: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT']);

async function runToEnd(options: ExecOptions): Promise<Exit | StartError> {
  const [file = '', ...args] = options.command;
  let child: ChildProcess;
  try {
    child = spawn(file, args, {
      stdio: 'inherit',
      env: childEnvironment(options.env ?? process.env),
    });
  } catch (error) {
    return new StartError(file, error);
  }
  const pass = (signal: NodeJS.Signals): void => {
    // Not process.stdin.isTTY: that would open a stream on a pipe that the command is reading.
    const terminal = isatty(0) || isatty(1) || isatty(2);
    if (!(terminal && fromTerminal.has(signal))) child.kill(signal);
  };
  for (const signal of forwarded) process.on(signal, pass);
  try {
    const exited = new Promise<Exit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    await started(child, file);
    child.on('error', () => undefined);
    return await exited;
  } catch (error) {
    return error instanceof StartError ? error : new StartError(file, error);
  } finally {
    for (const signal of forwarded) process.off(signal, pass);
  }
}
