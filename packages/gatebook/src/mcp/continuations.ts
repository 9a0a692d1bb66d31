import { createHash } from 'node:crypto';
import { continuationsMax, nameBytesMax } from './bounds.js';
import { innerMembers, type Members, stringValue } from './json-member.js';
import { type AnswerFacts, joinKeys } from './server-line.js';

/**
 * Which call a later request carries on. Since the 2026-07-28 revision a server that needs more input ends the call
 * with `input_required`; the client sends the call again under a new id with the server's `requestState` repeated, or,
 * where there was none, with responses under the names the server asked by. In 2025-11-25 a server may make a task of a
 * call, and the client asks for its result by `tasks/result`.
 */
export class Continuations {
  readonly #callIds = new Map<string, string>();

  remember(
    callId: string,
    method: string,
    subject: string,
    facts: Pick<AnswerFacts, 'taskId' | 'requestState' | 'inputKeys'>,
  ): void {
    const key =
      taskKey(facts.taskId) ??
      stateKey(facts.requestState) ??
      inputsKey(method, subject, facts.inputKeys);
    if (key === undefined) return;
    // Deleting first moves a repeated key to the end, so that the oldest is the one to go.
    this.#callIds.delete(key);
    this.#callIds.set(key, callId);
    if (this.#callIds.size <= continuationsMax) return;
    const oldest = this.#callIds.keys().next();
    if (oldest.done !== true) this.#callIds.delete(oldest.value);
  }

  /** The call that a request with these params carries on, or undefined when it begins a new one. */
  find(method: string, subject: string, params: Members): string | undefined {
    if (method === 'tasks/result') return this.#callIds.get(taskKey(subject) ?? '');
    const state = stateKey(stringValue(params, 'requestState'));
    if (state !== undefined) return this.#callIds.get(state);
    const responses = innerMembers(params, 'inputResponses');
    const key = responses && inputsKey(method, subject, joinKeys(responses));
    return key === undefined ? undefined : this.#callIds.get(key);
  }
}

function taskKey(taskId: string | undefined): string | undefined {
  return taskId === undefined ? undefined : `task ${taskId.slice(0, nameBytesMax)}`;
}

/** A state can be megabytes long, so its hash stands for it. */
function stateKey(requestState: string | undefined): string | undefined {
  if (requestState === undefined) return undefined;
  return `state ${createHash('sha256').update(requestState).digest('hex')}`;
}

function inputsKey(method: string, subject: string, keys: string | undefined): string | undefined {
  if (keys === undefined) return undefined;
  const text = JSON.stringify([method, subject, keys]);
  return `inputs ${createHash('sha256').update(text).digest('hex')}`;
}
