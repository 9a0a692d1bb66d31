import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { nobody } from '../gate/asker.js';
import type { LimitOptions } from '../gate/limit-options.js';
import { byMessages, StateClient } from '../gate/state/state-client.js';
import { Gate, type GateRules } from '../gate.js';
import { Calls } from './calls.js';
import { ClientSide } from './client-side.js';
import { Elicitation } from './elicitation.js';
import { FixtureBook } from './fixture-book.js';
import { Ledger, type OnLogFailure } from './ledger.js';
import { Outcomes } from './outcomes.js';
import { LineOutlet, Outlet } from './outlet.js';
import { ServerSide } from './server-side.js';
import { Session } from './session.js';
import { type OnToolChange, ToolPins } from './tool-pins.js';

export interface FixtureRelayOptions {
  readonly onLogFailure?: OnLogFailure;
  readonly limited?: LimitOptions;
  readonly rules?: GateRules;
  readonly elicitation?: boolean;
  readonly onToolChange?: OnToolChange;
  /** What the server is, whatever it calls itself. */
  readonly pinnedAs?: string;
  /** One that was used before, to go on with what the gates share. */
  readonly book?: FixtureBook;
}

/** Both directions of the relay between streams in memory, with a book in memory. */
export async function fixtureRelay({
  onLogFailure = 'refuse',
  limited = { limits: [] },
  rules = {},
  elicitation: isOn = true,
  onToolChange: onChange = 'ask',
  pinnedAs = 'fixture',
  book = new FixtureBook(),
}: FixtureRelayOptions = {}) {
  const ledger = new Ledger({ open: async () => book, onLogFailure, report: () => undefined });
  await ledger.open({ passUnavailable: true });
  const clientOut = new PassThrough();
  const clientIn = new PassThrough();
  const serverOut = new PassThrough();
  const serverIn = new PassThrough();
  const session = new Session({}, 'fixture');
  const calls = new Calls(session);
  const outcomes = new Outcomes(ledger);
  const toClient = new LineOutlet(new Outlet(clientIn));
  const toServer = new Outlet(serverIn);
  const state = new StateClient(
    byMessages((message) => ledger.consult(message)),
    limited.limits,
  );
  const gate = new Gate({ book: ledger, state, ask: nobody }, { waitMs: limited.waitMs, ...rules });
  const pins = new ToolPins({ state, session, outcomes, server: pinnedAs, onChange });
  const shared = { session, calls, ledger, outcomes, toClient, toServer, pins };
  const elicitation = new Elicitation({ session, outcomes, toClient, isOn });
  const clientSide = new ClientSide({ ...shared, gate, elicitation, pinnedAs });
  const serverSide = new ServerSide(shared);
  const clientDone = clientSide.run(clientOut);
  const serverDone = serverSide.run(serverOut);
  return {
    book,
    calls,
    outcomes,
    state,
    clientDone,
    serverDone,
    clientOut,
    serverOut,
    serverIn,
    clientIn,
    /** What has come out at the server's end so far. */
    atServer: (): string => taken(serverIn),
    atClient: (): string => taken(clientIn),
  };
}

const texts = new WeakMap<PassThrough, string>();

function taken(stream: PassThrough): string {
  const more: unknown = stream.read();
  const text = (texts.get(stream) ?? '') + (Buffer.isBuffer(more) ? more.toString('latin1') : '');
  texts.set(stream, text);
  return text;
}

export async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 5000; i++) {
    if (what()) return;
    await sleep(2);
  }
  throw new Error('it did not come to that');
}
