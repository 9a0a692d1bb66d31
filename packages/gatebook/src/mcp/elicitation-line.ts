import { scanObject } from '@gatebook/audit';
import { contentEnd } from './client-line.js';
import type { CarriedState } from './elicitation-state.js';
import { innerMembers, type Members, rawText } from './json-member.js';

/**
 * The line of a call that brings the answer to a question of the gate, without that answer and the gate's `requestState`, and with what
 * the call had brought for the server before it was asked about. Every other value keeps its bytes.
 */
export function withoutRound(line: Buffer, params: Members, carried: CarriedState): Buffer {
  const kept: string[] = [];
  for (const [name, member] of params.byName) {
    if (name === 'requestState' || name === 'inputResponses') continue;
    kept.push(memberText(name, line.toString('utf8', member.start, member.end)));
  }
  const inputResponses = carried.inputResponses ?? othersIn(params, carried.key);
  if (inputResponses !== undefined) kept.push(memberText('inputResponses', inputResponses));
  if (carried.requestState !== undefined) {
    kept.push(memberText('requestState', JSON.stringify(carried.requestState)));
  }
  const { start, end } = spanOfParams(line);
  return Buffer.concat([
    line.subarray(0, start),
    Buffer.from(`{${kept.join(',')}}`),
    line.subarray(end),
  ]);
}

/** The answers of the client that are not for the gate. */
function othersIn(params: Members, key: string): string | undefined {
  const responses = innerMembers(params, 'inputResponses');
  if (responses === undefined) return rawText(params, 'inputResponses');
  const others: string[] = [];
  for (const name of responses.byName.keys()) {
    if (name !== key) others.push(memberText(name, rawText(responses, name)!));
  }
  return others.length === 0 ? undefined : `{${others.join(',')}}`;
}

/** @throws Error where there are none; the line was read already, so that cannot be */
function spanOfParams(line: Buffer): { readonly start: number; readonly end: number } {
  const scan = scanObject(line, 0, contentEnd(line));
  const params = 'fault' in scan ? undefined : scan.members.find(({ name }) => name === 'params');
  if (params === undefined) throw new Error('the line of a call has no params');
  return params;
}

function memberText(name: string, value: string): string {
  return `${JSON.stringify(name)}:${value}`;
}
