import { randomBytes } from 'node:crypto';
import type { Caller } from '@gatebook/audit';
import type { GateState } from './gate-state.js';
import { byMessages, type Consult, type Holder } from './state-client.js';

/** A gate's messages to a state in the same process, without a log between. */
export function consultOf(state: GateState): Consult {
  const self: Caller = { client: randomBytes(16).toString('hex'), pid: process.pid };
  return async (message) => await state.answer(message, self);
}

export function holderOf(state: GateState): Holder {
  return byMessages(consultOf(state));
}
