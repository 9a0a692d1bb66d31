import { describe, expect, test } from 'vitest';
import { LongAnswer } from './long-answer.js';
import { type AnswerFacts, keysOf, readFacts, readServerLine } from './server-line.js';

function facts(line: string): AnswerFacts | undefined {
  const [answer] = readServerLine(Buffer.from(line)).answers;
  return answer && readFacts(answer);
}

describe('answers', () => {
  test('a result is kept as the text of the wire', () => {
    expect(
      facts(
        '{"jsonrpc":"2.0","id":1,"result":{"content": [ ],"n":12345678901234567890,"__proto__":1}}',
      ),
    ).toMatchObject({
      status: 'ok',
      success: true,
      outputText: '{"content": [ ],"n":12345678901234567890,"__proto__":1}',
    });
  });

  test.each(['\n', '\r\n', ''])('the line end %j is no fault', (end) => {
    expect(facts(`{"jsonrpc":"2.0","id":1,"result":{}}${end}`)).toEqual({
      status: 'ok',
      success: true,
      outputText: '{}',
      lineBytes: expect.any(Number),
    });
  });

  test('an error of the tool carries the text the model sees', () => {
    const line =
      '{"id":1,"jsonrpc":"2.0","result":{"isError":true,"content":[{"type":"image"},{"type":"text","text":"no such file"}]}}';
    expect(facts(line)).toMatchObject({ status: 'error', success: false, error: 'no such file' });
  });

  test('an error of the protocol carries code and message', () => {
    expect(
      facts('{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad \\ud800"}}'),
    ).toMatchObject({
      status: 'error',
      errorCode: '-32602',
      error: '-32602: bad \ufffd',
    });
  });

  test('both a result and an error count as an error', () => {
    expect(
      facts('{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}')?.status,
    ).toBe('error');
  });

  test('a call that needs input says what for', () => {
    const line =
      '{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"s","inputRequests":{"b":{},"a":{}}}}';
    expect(facts(line)).toMatchObject({
      status: 'input_required',
      requestState: 's',
      inputKeys: '["a","b"]',
    });
  });

  test.each([
    ['a request', '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}'],
    ['a notification', '{"jsonrpc":"2.0","method":"notifications/progress"}'],
    ['noise', 'Server listening on stdio'],
    ['a scalar', '7'],
    ['nothing', ''],
  ])('%s is none', (_, line) => {
    expect(readServerLine(Buffer.from(line)).answers).toEqual([]);
  });

  test('what only lenient parsers understand is read as they do, and marked', () => {
    const [doubled] = readServerLine(
      Buffer.from('{"jsonrpc":"2.0","id":1,"id":2,"result":{}}'),
    ).answers;
    expect(doubled).toMatchObject({ keys: ['2'], fault: expect.stringContaining('twice') });
    const batch = readServerLine(
      Buffer.from('[{"id":1,"result":{}},{"id":2,"error":{}},3]'),
    ).answers;
    expect(batch.map((answer) => answer.keys)).toEqual([['1'], ['2']]);
    const bytes = Buffer.from('{"jsonrpc":"2.0","id":3,"result":"?"}');
    bytes[bytes.indexOf(0x3f)] = 0xff;
    expect(readServerLine(bytes).answers[0]).toMatchObject({
      keys: ['3'],
      fault: 'not valid UTF-8',
    });
  });

  test('answers that only some readers see, between other line ends, are seen', () => {
    const line = '{"id":1,"result":{}}\r{"id":2,"result":{}}\u2028noise\n';
    expect(readServerLine(Buffer.from(line)).answers.map((answer) => answer.keys)).toEqual([
      ['1'],
      ['2'],
    ]);
  });

  test('a code that is no number is cut at a character', () => {
    const read = facts(`{"id":1,"error":{"code":"${'\ud83d\ude00'.repeat(40)}","message":"m"}}`);
    expect(read?.errorCode?.isWellFormed()).toBe(true);
    expect(read?.error?.isWellFormed()).toBe(true);
  });

  test('ids are taken for what clients make of them', () => {
    expect(keysOf('7')).toEqual(['7']);
    expect(keysOf('7.0')).toEqual(['7.0', '7']);
    expect(keysOf('7e0')).toEqual(['7e0', '7']);
    expect(keysOf('-0')).toEqual(['-0', '0']);
    expect(keysOf('a')).toEqual(['a']);
    expect(keysOf(' ')).toEqual([' ']);
  });
});

describe('lines too long to be held', () => {
  function skim(text: string, step: number): LongAnswer {
    const long = new LongAnswer();
    const bytes = Buffer.from(text);
    for (let i = 0; i < bytes.length; i += step) long.push(bytes.subarray(i, i + step));
    return long;
  }

  const blob = JSON.stringify({ deep: [{ id: 9, isError: true, text: 'x"]}\\'.repeat(50) }] });

  test.each([
    [
      'id last',
      `{"result":{"content":[${blob}],"isError":true},"jsonrpc":"2.0","id":7}\n`,
      ['7'],
      'error',
    ],
    [
      'id first',
      `{"jsonrpc":"2.0","id":"a\\"b","result":{"x":${blob},"isError":false}}\n`,
      ['a"b'],
      'ok',
    ],
    ['spaces', `{ "id" : 7 , "result" : { "isError" : true , "c" : ${blob} } }`, ['7'], 'error'],
    ['an error', `{"id":7,"error":{"code":-5,"message":"m","data":${blob}}}`, ['7'], 'error'],
    [
      'input',
      `{"id":7,"result":{"x":${blob},"resultType":"input_required"}}`,
      ['7'],
      'input_required',
    ],
    ['a text result', `{"id":7,"result":${JSON.stringify(blob)}}`, ['7'], 'ok'],
    ['a notification', `{"method":"x","params":{"id":7,"result":${blob}}}`, [], 'ok'],
    ['a request', `{"method":"x","id":7,"params":${blob}}`, [], 'ok'],
    [
      'decoys',
      `{"x":{"id":1,"result":{}},"y":["id",2,"result"],"id":7,"result":{"y":{"isError":true}}}`,
      ['7'],
      'ok',
    ],
  ])('%s', (_, text, keys, status) => {
    for (const step of [1, 5, 1000]) {
      const long = skim(text, step);
      expect(long.keys()).toEqual(keys);
      expect(long.facts()).toMatchObject({ status, lineBytes: Buffer.byteLength(text) });
    }
  });
});

test('what is nested too deeply to be written down again does not hide the rest of its answer', () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const found = facts(`{"id":1,"result":{"isError":true,"structuredContent":${deep}}}`);
  expect(found).toMatchObject({ status: 'error', fault: expect.stringContaining('nest') });
});
