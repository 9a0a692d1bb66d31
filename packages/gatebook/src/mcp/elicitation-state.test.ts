import { expect, test } from 'vitest';
import { openStatesMax } from './bounds.js';
import { type AskedState, RequestStates, stateMs } from './elicitation-state.js';

const bound: AskedState = {
  actor: 'a',
  session: 's',
  method: 'tools/call',
  subject: 't',
  digest: 'd',
};
const carried = { question: 'q', key: 'k', server: 'srv' };

test('a state carries what it was given, once', () => {
  const states = new RequestStates();
  const text = states.seal(bound, carried);
  expect(states.isOurs(text)).toBe(true);
  expect(states.take(text, bound)).toMatchObject(carried);
  expect(states.take(text, bound)).toMatchObject({ fault: expect.stringContaining('used') });
});

test('a state is bound to the actor, the session, the method, the tool and the arguments', () => {
  const states = new RequestStates();
  const text = states.seal(bound, carried);
  for (const name of Object.keys(bound)) {
    expect(states.take(text, { ...bound, [name]: 'x' })).toMatchObject({
      fault: expect.stringContaining(name),
    });
  }
  expect(states.take(text, bound)).toMatchObject(carried);
});

test('a state expires, and of too many the oldest is forgotten', () => {
  let now = 0;
  const states = new RequestStates(() => now);
  const old = states.seal(bound, carried);
  now = stateMs + 1;
  expect(states.take(old, bound)).toMatchObject({ fault: expect.stringContaining('expired') });
  const first = states.seal(bound, carried);
  for (let i = 0; i < openStatesMax; i++) states.seal(bound, carried);
  expect(states.take(first, bound)).toHaveProperty('fault');
});

test('no byte of a state can be changed, and that of another process is not ours', () => {
  const states = new RequestStates();
  const text = states.seal(bound, carried);
  for (const at of [text.indexOf('.', 10) + 5, text.length - 5, text.lastIndexOf('.') - 1]) {
    const other = text[at] === 'A' ? 'B' : 'A';
    const changed = text.slice(0, at) + other + text.slice(at + 1);
    expect(states.take(changed, bound)).toMatchObject({
      fault: expect.stringContaining('changed'),
    });
  }
  expect(states.take(`${text}x`, bound)).toHaveProperty('fault');
  expect(states.take(text.slice(0, text.lastIndexOf('.')), bound)).toHaveProperty('fault');
  expect(new RequestStates().isOurs(text)).toBe(false);
});
