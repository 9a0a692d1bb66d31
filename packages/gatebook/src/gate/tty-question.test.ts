import { PassThrough } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { expect, test } from 'vitest';
import { askTty } from './tty-question.js';

/** A terminal on which somebody answers once the question stands there. */
function terminal(answer: (input: PassThrough) => void): {
  readonly input: ReadStream;
  readonly shown: () => string;
  readonly ask: (signal?: AbortSignal) => Promise<boolean | undefined>;
} {
  const stream = Object.assign(new PassThrough(), { setRawMode: () => stream });
  const input = stream as unknown as ReadStream;
  let shown = '';
  const write = (text: string): void => {
    shown += text;
    answer(stream);
  };
  const ask = (signal?: AbortSignal): Promise<boolean | undefined> =>
    askTty({ input, write, text: 'Allow? ', signal });
  return { input, shown: () => shown, ask };
}

test('only y and yes are a yes', async () => {
  const said = async (line: string): Promise<boolean | undefined> =>
    await terminal((input) => input.write(line)).ask();
  for (const yes of ['y\n', 'Y\n', 'yes\n', ' YES \r\n']) expect(await said(yes)).toBe(true);
  for (const no of ['\n', 'n\n', 'no\n', 'yy\n', 'ye\n', 'yes!\n', '\x1by\n', 'y'.repeat(5_000)]) {
    expect(await said(no)).toBe(false);
  }
});

test('what was typed before the question stood there is no answer', async () => {
  const { input, ask, shown } = terminal((each) => each.write('n\n'));
  input.push('y\n');
  expect(await ask()).toBe(false);
  expect(shown()).toBe('Allow? ');
});

test('a terminal that ends has not answered, and neither has one whose question ended', async () => {
  expect(await terminal((input) => input.end()).ask()).toBeUndefined();
  const over = new AbortController();
  expect(await terminal(() => over.abort()).ask(over.signal)).toBeUndefined();
  const { ask, shown } = terminal((input) => input.write('y\n'));
  expect(await ask(AbortSignal.abort())).toBeUndefined();
  expect(shown()).toBe('');
});
