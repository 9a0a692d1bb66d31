import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { AuditEvent, AuditLogOptions, ServedLogOptions } from '@gatebook/audit';
import { nobody } from '../gate/asker.js';
import { digestOf } from '../gate/call.js';
import { openGate } from '../gate/open-gate.js';
import type { GateSettings } from '../gate/settings.js';
import { openLog } from '../open-log.js';
import { childEnvironment } from '../secret-variables.js';
import { Calls } from './calls.js';
import { ClientSide } from './client-side.js';
import { within } from './delay.js';
import { Elicitation } from './elicitation.js';
import { passOn } from './exit-status.js';
import { Ledger, type OnLogFailure, reasonOf } from './ledger.js';
import type { LiveConfig } from './live-config.js';
import { noticed } from './notice.js';
import { Outcomes } from './outcomes.js';
import { LineOutlet, Outlet } from './outlet.js';
import { type Exit, ServerProcess, StartError } from './server-process.js';
import { ServerSide } from './server-side.js';
import { Session } from './session.js';
import { Shutdown, type ShutdownTimes } from './shutdown.js';
import { type OnToolChange, ToolPins } from './tool-pins.js';

export interface McpOptions {
  /** The server's command and its arguments. */
  readonly command: readonly string[];
  readonly user?: string | undefined;
  readonly channel?: string | undefined;
  /** Default: the name the client gives itself. */
  readonly agent?: string | undefined;
  readonly log: AuditLogOptions | ServedLogOptions;
  /** What is configured, also while the relay runs. */
  readonly live?: LiveConfig | undefined;
  /** Whether a client that shows forms to its user is made to ask for approvals; default true. */
  readonly elicitation?: boolean | undefined;
  /** What calls are part of; by default all that the same client starts. */
  readonly session?: string | undefined;
  readonly settings: GateSettings;
  /** The server's name in policies, and by which its tools are pinned; by default the name it gives itself, and its command. */
  readonly serverName?: string | undefined;
  /** What happens to calls of a tool that is described otherwise than before; default `ask`. */
  readonly onToolChange?: OnToolChange | undefined;
  /** Recorded before anything else. */
  readonly first?: AuditEvent | undefined;
  /** What happens to calls that cannot be recorded; default `refuse`. */
  readonly onLogFailure?: OnLogFailure | undefined;
  readonly stdin?: Readable | undefined;
  readonly stdout?: Writable | undefined;
  readonly stderr?: Writable | undefined;
  /** The server's environment; default: our own. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly times?: ShutdownTimes | undefined;
}

/**
 * Relays between an MCP client on our stdin and stdout and the server that `command` starts, and records every call
 * (docs/mcp.md). Returns the exit code to end with: the server's own; 126 or 127 when it could not be started; 1 when
 * the log could not be opened. When the server dies of a signal, this process dies of the same.
 */
export async function runMcp(options: McpOptions): Promise<number> {
  const stderr = options.stderr ?? process.stderr;
  const report = (line: string): void => {
    stderr.write(`${line}\n`);
  };
  const ledger = new Ledger({
    open: async () => noticed(await openLog(options.log), report),
    onLogFailure: options.onLogFailure ?? 'refuse',
    recording: options.live?.recording,
    report,
  });
  try {
    await ledger.open({ passUnavailable: true });
  } catch (error) {
    report(`gatebook: the log cannot be opened, so no server is started: ${reasonOf(error)}`);
    return 1;
  }
  if (options.first !== undefined) await ledger.fact(options.first);
  let server: ServerProcess;
  try {
    const pipeStderr = stderr !== process.stderr;
    server = await ServerProcess.start(
      options.command,
      childEnvironment(options.env ?? process.env),
      pipeStderr,
    );
  } catch (error) {
    report(`gatebook: ${reasonOf(error)}`);
    await ledger.close();
    return error instanceof StartError ? error.exitCode : 1;
  }
  server.stderr?.pipe(stderr, { end: false });
  const exit = await relay(options, ledger, server, report);
  return passOn(exit);
}

/** From the server's start to its end, with all that has to be recorded and passed on after it. */
async function relay(
  options: McpOptions,
  ledger: Ledger,
  server: ServerProcess,
  report: (line: string) => void,
): Promise<Exit> {
  const stdin = options.stdin ?? process.stdin;
  const client = new Outlet(options.stdout ?? process.stdout);
  const toClient = new LineOutlet(client);
  const toServer = new Outlet(server.stdin);
  const session = new Session(options, basename(options.command[0] ?? ''), options.session);
  const calls = new Calls(session);
  const outcomes = new Outcomes(ledger);
  const { gate, state, change } = openGate({
    ledger,
    settings: options.settings,
    allows: options.onLogFailure === 'allow',
    isOn: () => options.live?.recording().enabled ?? true,
    ask: nobody,
    report,
  });
  const { serverName, onToolChange: onChange = 'ask' } = options;
  const pinnedAs = serverName ?? `command:${digestOf(options.command)}`;
  const pins = new ToolPins({ state, session, outcomes, server: pinnedAs, onChange });
  const shared = { session, calls, ledger, outcomes, toClient, toServer, pins };
  const isOn = options.elicitation ?? true;
  const elicitation = new Elicitation({ session, outcomes, toClient, isOn });
  const fromClient = new ClientSide({ ...shared, gate, elicitation, serverName, pinnedAs });
  const fromServer = new ServerSide(shared);

  options.live?.start({ ledger, change, sessionId: session.id, report });
  let answers = true;
  const shutdown = new Shutdown(server, () => (answers ? calls.waiting : 0), options.times);
  const closeInput = (): void => {
    toServer.end();
    shutdown.begin();
  };
  const clientDone = quietly(fromClient.run(stdin), report).then(closeInput);
  const serverDone = quietly(fromServer.run(server.stdout), report);
  const abandoned = serverDone.then(async () => {
    answers = false;
    await within(server.exited, exitNewsMs);
    for (const event of calls.abandon(deathNote(server.exit))) outcomes.record(event);
    closeInput();
  });
  void client.gone.then(() => {
    calls.giveUpAll(overReason);
    closeInput();
  });
  void Promise.race([server.exited, serverDone]).then(() => calls.giveUpAll(overReason));

  const exit = await server.exited;
  options.live?.end();
  await shutdown.drained(serverDone, () => fromServer.chunks, client);
  stdin.destroy();
  await shutdown.patiently(clientDone);
  await abandoned;
  for (const event of calls.abandonAll(deathNote(exit))) outcomes.record(event);
  await outcomes.settled();
  await gate.close();
  await ledger.close();
  await shutdown.patiently(client.flushed());
  shutdown.end();
  return exit;
}

const overReason = 'the server or the client ended';

/** Between the end of a server's output and the news of its exit, when the two come together. */
const exitNewsMs = 250;

/** How a stream's end shows in the loop that reads it; it says nothing that the process's exit does not say. */
const streamEnds: ReadonlySet<unknown> = new Set([
  'ABORT_ERR',
  'ECONNRESET',
  'EIO',
  'EPIPE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

async function quietly(run: Promise<void>, report: (line: string) => void): Promise<void> {
  try {
    await run;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (!streamEnds.has(code)) report(`gatebook: the relay broke: ${reasonOf(error)}`);
  }
}

function deathNote(exit: Exit | undefined): string {
  if (exit === undefined) return 'the server closed its output before it answered';
  const how = exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`;
  return `the server ended ${how} before it answered`;
}
