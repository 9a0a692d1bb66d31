import { homedir } from 'node:os';
import type { Actor, AuditEvent, JsonObject } from '@gatebook/audit';
import type { ToolAnnotations } from '@gatebook/policy';
import { untrustedEventOf } from './cli/config-choice.js';
import { settingsOf } from './cli/gate-settings.js';
import { choosePlaces } from './cli/places.js';
import { visible } from './cli/visible.js';
import { isConfigured } from './config/sources.js';
import { type Asker, nobody } from './gate/asker.js';
import { GateError } from './gate/errors.js';
import { badArgumentsEvent } from './gate/events.js';
import { openGate } from './gate/open-gate.js';
import { NotPlain, plainCopy } from './gate/plain-copy.js';
import { clientSession } from './gate/session-id.js';
import type { Gate } from './gate.js';
import { newCallId } from './mcp/ids.js';
import { Ledger, reasonOf } from './mcp/ledger.js';
import { LiveConfig } from './mcp/live-config.js';
import { openLog } from './open-log.js';

export interface GateOptions {
  /** The log and keys folders; by default those of the command line: `GATEBOOK_LOG`, the configuration, the XDG folders. */
  readonly log?: { readonly dir: string; readonly keysDir: string } | undefined;
  /** Where the configuration is looked for and what a policy calls the workspace; the working directory by default. */
  readonly cwd?: string | undefined;
  /** Who calls, unless the call says otherwise. */
  readonly actor?: Actor | undefined;
  /** What the calls are part of, unless the call says otherwise; by default all that the same process starts. */
  readonly session?: string | undefined;
  /** How a person is asked; by default only `gatebook approve` answers. */
  readonly ask?: Asker | undefined;
  /** Takes one line for the operator; stderr by default. */
  readonly report?: ((line: string) => void) | undefined;
}

/** A call that a program wants to make through the gate. */
export interface ProgramCall {
  readonly tool: string;
  /** What JSON can say; anything else is refused, for nobody could judge it. None is the same as `{}`. */
  readonly arguments?: unknown;
  readonly actor?: Actor | undefined;
  readonly session?: string | undefined;
  readonly annotations?: ToolAnnotations | undefined;
  /** Gives the call up; one that is given up before it is made is never made. */
  readonly signal?: AbortSignal | undefined;
}

/** With a copy of the arguments, as they were judged. */
type Run<T> = (args: unknown, signal: AbortSignal) => T | Promise<T>;
type CallOptions = Pick<ProgramCall, 'actor' | 'session' | 'signal'>;

/** The gate of a program, over the log and the configuration that `gatebook mcp` and `gatebook exec` use. */
export interface ProgramGate {
  /**
   * Runs what the call stands for once the gate lets it through, with a record before and after.
   *
   * @throws GateError where the call may not be made; whatever `run` throws, which is recorded as a failure
   */
  call<T>(call: ProgramCall, run: (signal: AbortSignal) => T | Promise<T>): Promise<T>;
  /**
   * A function like this one, each call of which goes through the gate as a call of the tool. It is given a copy of its arguments: what was
   * judged.
   */
  tool<A, T>(
    name: string,
    run: (args: A, signal: AbortSignal) => T | Promise<T>,
    annotations?: ToolAnnotations,
  ): (args: A, options?: CallOptions) => Promise<T>;
  /** Records that somebody was let in or not. */
  auth(
    type: 'success' | 'failure' | 'login' | 'logout' | 'refresh',
    actor: Actor,
    details?: JsonObject,
  ): Promise<void>;
  /** Records that a setting has changed; values that are secret do not belong here. */
  configChange(details: JsonObject, actor?: Actor): Promise<void>;
  /** Takes no calls any more; resolves when those under way are recorded. */
  close(): Promise<void>;
}

/**
 * Opens the gate for a program that calls tools by itself. While it is open it takes over a configuration that changes, whole or not at
 * all, with a record of each change.
 *
 * @throws ConfigError where the configuration is wrong; AuditError where the log cannot be opened
 */
export async function createGate(options: GateOptions = {}): Promise<ProgramGate> {
  const { cwd = process.cwd(), report = toStderr } = options;
  const { env } = process;
  const loaded = isConfigured(env, cwd)
    ? (await import('./config/load.js')).loadConfig({ env, cwd })
    : undefined;
  if (loaded?.untrusted !== undefined) {
    const { untrustedText } = await import('./config/untrusted.js');
    report(`gatebook: ${visible(untrustedText(loaded.untrusted))}`);
  }
  const audit = loaded?.config.security.audit;
  const configured = { log: audit?.logPath, keys: audit?.keysPath };
  const log = options.log ?? choosePlaces({}, env, homedir(), configured);
  const onLogFailure = audit?.onLogFailure ?? 'refuse';
  const live = new LiveConfig({
    ...{ env, cwd, loaded },
    settingsOf: (changed) => settingsOf({}, changed, log, cwd),
  });
  const { recording } = live;
  const ledger = new Ledger({ open: () => openLog(log), onLogFailure, recording, report });
  await ledger.open({ passUnavailable: false });
  const first = await untrustedEventOf(loaded);
  if (first !== undefined) await ledger.fact(first);
  const { gate, change } = openGate({
    ledger,
    settings: await settingsOf({}, loaded, log, cwd),
    allows: onLogFailure === 'allow',
    isOn: () => recording().enabled,
    ask: options.ask ?? nobody,
    report,
  });
  const sessionId = options.session ?? clientSession();
  live.start({ ledger, change, sessionId, report });
  return new OwnGate({ gate, ledger, live, sessionId }, options);
}

function toStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

interface GateParts {
  readonly gate: Gate;
  readonly ledger: Ledger;
  readonly live: LiveConfig;
  readonly sessionId: string;
}

class OwnGate implements ProgramGate {
  readonly #gate: Gate;
  readonly #ledger: Ledger;
  readonly #live: LiveConfig;
  readonly #actor: Actor;
  readonly #session: string;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor({ gate, ledger, live, sessionId }: GateParts, { actor = {} }: GateOptions) {
    this.#gate = gate;
    this.#ledger = ledger;
    this.#live = live;
    this.#actor = actor;
    this.#session = sessionId;
  }

  call<T>(call: ProgramCall, run: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
    return this.#tracked(call, (_args, signal) => run(signal));
  }

  async #tracked<T>(call: ProgramCall, run: Run<T>): Promise<T> {
    if (this.#closed) throw new GateError('closed', 'the gate was closed');
    const running = this.#call(call, run);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  tool<A, T>(
    name: string,
    run: (args: A, signal: AbortSignal) => T | Promise<T>,
    annotations?: ToolAnnotations,
  ): (args: A, options?: CallOptions) => Promise<T> {
    return (args, options = {}) =>
      this.#tracked({ tool: name, arguments: args, annotations, ...options }, (copy, signal) =>
        run(copy as A, signal),
      );
  }

  async auth(
    type: 'success' | 'failure' | 'login' | 'logout' | 'refresh',
    actor: Actor,
    details: JsonObject = {},
  ): Promise<void> {
    const success = type !== 'failure';
    await this.#fact({ eventType: `auth_${type}`, actor, result: { success }, details });
  }

  async configChange(details: JsonObject, actor: Actor = this.#actor): Promise<void> {
    await this.#fact({ eventType: 'config_change', actor, details });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#live.end();
    await Promise.allSettled(this.#running);
    await this.#gate.close();
    await this.#ledger.close();
  }

  async #fact(event: AuditEvent): Promise<void> {
    if (this.#closed) throw new GateError('closed', 'the gate was closed');
    if (await this.#ledger.fact({ sessionId: this.#session, ...event })) return;
    throw new GateError('log_unavailable', 'it could not be recorded in the audit log');
  }

  async #call<T>(asked: ProgramCall, run: Run<T>): Promise<T> {
    const frame = this.#frame(asked);
    const call = { ...asked, arguments: await this.#plain(asked, frame) };
    const signal = call.signal ?? new AbortController().signal;
    const admitted = await this.#gate.admit({
      actor: frame.actor,
      sessionId: frame.sessionId,
      name: call.tool,
      isTool: true,
      arguments: call.arguments ?? {},
      annotations: call.annotations,
      intent: { ...frame, action: { phase: 'intent', tool: call.tool, ...argumentsOf(call) } },
      signal,
    });
    if (!admitted.allowed) {
      const { code, reason, rule, retryAfterMs } = admitted;
      throw new GateError(code, reason, { rule, retryAfterMs });
    }
    const outcome = async (result: AuditEvent['result']): Promise<void> => {
      const action = { phase: 'outcome' as const, tool: call.tool };
      await this.#ledger.fact({ ...frame, action, result });
      await admitted.ended(result?.success === true);
    };
    if (signal.aborted) {
      await admitted.notMade();
      await outcome({ success: false, status: 'cancelled' });
      throw new GateError('cancelled', 'it was given up before it was made');
    }
    const since = performance.now();
    const durationMs = (): number => Math.round((performance.now() - since) * 1_000) / 1_000;
    try {
      const value = await run(call.arguments, signal);
      await outcome({ success: true, status: 'ok', durationMs: durationMs(), ...outputOf(value) });
      return value;
    } catch (error) {
      const status = signal.aborted ? 'cancelled' : 'error';
      const text = reasonOf(error).slice(0, errorCharsMax).toWellFormed();
      await outcome({ success: false, status, error: text, durationMs: durationMs() });
      throw error;
    }
  }

  /** @throws GateError `bad_arguments`, which is recorded */
  async #plain({ tool, arguments: args }: ProgramCall, frame: AuditEvent): Promise<unknown> {
    try {
      return plainCopy(args, 'arguments');
    } catch (error) {
      const what = error instanceof NotPlain ? error.message : `arguments: ${reasonOf(error)}`;
      const reason = `${what.slice(0, errorCharsMax).toWellFormed()}, which JSON does not say`;
      await this.#ledger.fact(badArgumentsEvent({ ...frame, action: { tool } }, reason));
      const help = 'give text, numbers, booleans, null, dates, arrays and plain objects of these';
      throw new GateError('bad_arguments', `${reason}; ${help}`, { rule: 'gate.arguments' });
    }
  }

  #frame(call: ProgramCall): AuditEvent & { actor: Actor; sessionId: string } {
    return {
      eventType: 'tool_execution',
      actor: call.actor ?? this.#actor,
      sessionId: call.session ?? this.#session,
      callId: newCallId(),
    };
  }
}

const errorCharsMax = 4_096;

/** As JSON text, so that whatever has one can be recorded. */
function argumentsOf(call: ProgramCall): { argumentsText?: string } {
  const text = jsonOf(call.arguments);
  return text === undefined ? {} : { argumentsText: text };
}

function outputOf(value: unknown): { outputText?: string } {
  const text = jsonOf(value);
  return text === undefined ? {} : { outputText: text };
}

function jsonOf(value: unknown): string | undefined {
  try {
    return (JSON.stringify(value) as string | undefined)?.toWellFormed();
  } catch {
    return undefined;
  }
}
