import { describe, expect, test } from 'vitest';
import { lineBytesMax } from './bounds.js';
import { type ClientLine, readClientLine } from './client-line.js';
import { LineSplitter } from './line-splitter.js';

function read(line: string | Buffer): ClientLine {
  return readClientLine(typeof line === 'string' ? Buffer.from(`${line}\n`) : line);
}

const call = (params: string, id = '1'): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`;

describe('what passes', () => {
  test.each([
    ['a request', '{"jsonrpc":"2.0","id":1,"method":"ping"}', 'request'],
    ['a string id', '{"jsonrpc":"2.0","id":"a b","method":"ping"}', 'request'],
    ['a negative id', '{"jsonrpc":"2.0","id":-7,"method":"ping"}', 'request'],
    [
      'an unknown method with array params',
      '{"jsonrpc":"2.0","id":1,"method":"x/y","params":[1]}',
      'request',
    ],
    ['null params', '{"jsonrpc":"2.0","id":1,"method":"x/y","params":null}', 'request'],
    ['a notification', '{"jsonrpc":"2.0","method":"notifications/initialized"}', 'notification'],
    ['a result', '{"jsonrpc":"2.0","id":9,"result":{"Name":1,"a":{"Id":2}}}', 'response'],
    ['an error', '{"jsonrpc":"2.0","id":9,"error":{"code":1,"message":""}}', 'response'],
    [
      'an error without known id',
      '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}',
      'response',
    ],
    ['white space', ' {\t"jsonrpc" : "2.0" , "id":1,"method":"ping"} ', 'request'],
    ['a CRLF line end', '{"jsonrpc":"2.0","id":1,"method":"ping"}\r', 'request'],
    ['an extra member', '{"jsonrpc":"2.0","id":1,"method":"ping","x":{"Id":1}}', 'request'],
    ['a call', call('{"name":"a","arguments":{"Name":1,"__proto__":{"x":1}}}'), 'request'],
    ['a call without arguments', call('{"name":"a"}'), 'request'],
    ['a lone surrogate in arguments', call('{"name":"a","arguments":{"x":"\\ud800"}}'), 'request'],
    [
      'big numbers in arguments',
      call('{"name":"a","arguments":[1e999,123456789012345678901]}'),
      'request',
    ],
    ['U+2028 in arguments', call('{"name":"a","arguments":{"x":"\u2028"}}'), 'request'],
    ['a blank line', ' \t', 'blank'],
    ['an empty CRLF line', '\r', 'blank'],
  ])('%s', (_, line, kind) => {
    expect(read(line).kind).toBe(kind);
  });

  test('escapes in names are read as what they mean', () => {
    const line =
      '{"jsonrpc":"\\u0032.0","id":1,"\\u006dethod":"tools\\/call","params":{"n\\u0061me":"a"}}';
    expect(read(line)).toMatchObject({ kind: 'request', method: 'tools/call' });
  });

  test('1 and "1" have one key', () => {
    const number = read('{"jsonrpc":"2.0","id":1,"method":"ping"}');
    const text = read('{"jsonrpc":"2.0","id":"1","method":"ping"}');
    expect(number).toMatchObject({ id: { key: '1', text: '1' } });
    expect(text).toMatchObject({ id: { key: '1', text: '"1"' } });
  });
});

describe('what is refused', () => {
  const longS = '\u017f';
  test.each([
    ['no JSON', 'hello', -32700],
    ['a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700],
    ['text behind the message', '{"jsonrpc":"2.0","id":1,"method":"ping"} x', -32700],
    [
      'two messages',
      '{"jsonrpc":"2.0","id":1,"method":"a"}{"jsonrpc":"2.0","id":2,"method":"b"}',
      -32700,
    ],
    ['a raw NUL', '{"jsonrpc":"2.0","id":1,"method":"a\u0000"}', -32700],
    [
      'nesting without end',
      call(`{"name":"a","arguments":${'['.repeat(600)}${']'.repeat(600)}}`),
      -32700,
    ],
    ['a single quote', "{'jsonrpc':'2.0','id':1,'method':'ping'}", -32700],
    ['a comment', '{"jsonrpc":"2.0","id":1,/**/"method":"ping"}', -32700],
    ['a trailing comma', '{"jsonrpc":"2.0","id":1,"method":"ping",}', -32700],
    ['NaN', call('{"name":"a","arguments":NaN}'), -32700],
    ['a scalar', '"ping"', -32700],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
    ['an inner CR', '{"jsonrpc":"2.0","id":1,\r"method":"ping"}', -32600],
    ['two CRs at the end', '{"jsonrpc":"2.0","id":1,"method":"ping"}\r\r', -32600],
    ['a doubled id', '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32600],
    [
      'a doubled method by escape',
      '{"jsonrpc":"2.0","id":1,"method":"ping","\\u006dethod":"tools/call"}',
      -32600,
    ],
    [
      'a doubled member deep inside',
      call('{"name":"a","arguments":{"x":[{"p":1,"p":2}]}}'),
      -32600,
    ],
    ['another version', '{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['no version', '{"id":1,"method":"ping"}', -32600],
    ['a numeric version', '{"jsonrpc":2.0,"id":1,"method":"ping"}', -32600],
    ['Method', '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}', -32600],
    [
      'method and NUL',
      '{"jsonrpc":"2.0","id":1,"method":"ping","method\\u0000x":"tools/call"}',
      -32600,
    ],
    ['param\u017f', `{"jsonrpc":"2.0","id":1,"method":"ping","param${longS}":{}}`, -32600],
    ['ID', '{"jsonrpc":"2.0","ID":1,"method":"ping"}', -32600],
    ['JSONRPC', '{"JSONRPC":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}', -32600],
    ['Result', '{"jsonrpc":"2.0","id":1,"method":"ping","Result":{}}', -32600],
    ['Name in a call', call('{"name":"a","Name":"b"}'), -32600],
    ['Arguments in a call', call('{"name":"a","ARGUMENTS":{}}'), -32600],
    ['argument\u017f in a call', call(`{"name":"a","argument${longS}":{}}`), -32600],
    [
      'URI in a read',
      '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b","URI":"c:d"}}',
      -32600,
    ],
    [
      'requestId twice',
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"requestid":2}}',
      -32600,
    ],
    ['Tools/Call', '{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"a"}}', -32600],
    [
      'tools/call and a space',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"a"}}',
      -32600,
    ],
    [
      'tool\u017f/call',
      `{"jsonrpc":"2.0","id":1,"method":"tool${longS}/call","params":{"name":"a"}}`,
      -32600,
    ],
    ['a method with NUL', '{"jsonrpc":"2.0","id":1,"method":"tools/call\\u0000"}', -32600],
    ['a method that is no string', '{"jsonrpc":"2.0","id":1,"method":["tools/call"]}', -32600],
    ['an endless method', `{"jsonrpc":"2.0","id":1,"method":"${'a'.repeat(2000)}"}`, -32600],
    ['id 1.0', '{"jsonrpc":"2.0","id":1.0,"method":"ping"}', -32600],
    ['id 1e0', '{"jsonrpc":"2.0","id":1e0,"method":"ping"}', -32600],
    ['id -0', '{"jsonrpc":"2.0","id":-0,"method":"ping"}', -32600],
    ['id 2^53', '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}', -32600],
    ['id null', '{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
    ['id true', '{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600],
    ['id []', '{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600],
    ['an id with a lone surrogate', '{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', -32600],
    ['an endless id', `{"jsonrpc":"2.0","id":"${'a'.repeat(2000)}","method":"ping"}`, -32600],
    [
      'a request that is a response',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"result":{}}',
      -32600,
    ],
    ['a response with both', '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', -32600],
    ['a response without id', '{"jsonrpc":"2.0","result":{}}', -32600],
    ['nothing at all', '{"jsonrpc":"2.0"}', -32600],
    ['a result for null', '{"jsonrpc":"2.0","id":null,"result":{}}', -32600],
    [
      'a call as a notification',
      '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}',
      -32600,
    ],
    ['a call without params', '{"jsonrpc":"2.0","id":1,"method":"tools/call"}', -32600],
    ['a call with array params', call('["a"]'), -32600],
    ['a call with null params', call('null'), -32600],
    ['a call with text params', call('"a"'), -32600],
    ['a name that is an array', call('{"name":["a"]}'), -32600],
    ['a name that is missing', call('{"arguments":{}}'), -32600],
    ['a name with a lone surrogate', call('{"name":"a\\udfff"}'), -32600],
    ['a name with NUL', call('{"name":"a\\u0000b"}'), -32600],
    ['an endless name', call(`{"name":"${'a'.repeat(2000)}"}`), -32600],
  ])('%s', (_, line, code) => {
    expect(read(line)).toMatchObject({ kind: 'refused', code });
  });

  test('bytes that are not UTF-8', () => {
    const line = Buffer.concat([
      Buffer.from(call('{"name":"a","arguments":"').slice(0, -1)),
      Buffer.from([0xff, 0x22, 0x7d, 0x7d, 10]),
    ]);
    expect(read(line)).toMatchObject({ kind: 'refused', code: -32700 });
  });
});

describe('the id of a refusal', () => {
  test.each([
    ['Params', '{"jsonrpc":"2.0","id":5,"method":"ping","params":3}', '5'],
    ['a bad call', call('{"name":3}', '"x"'), '"x"'],
    ['a doubled member', '{"jsonrpc":"2.0","id":5,"method":"ping","a":1,"a":1}', undefined],
    ['an ambiguous id', '{"jsonrpc":"2.0","id":5,"Id":6,"method":"ping"}', undefined],
    ['a response', '{"jsonrpc":"2.0","id":5,"result":1,"error":1}', undefined],
    ['a notification', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}', undefined],
  ])('%s', (_, line, text) => {
    const refused = read(line);
    expect(refused.kind).toBe('refused');
    expect(refused.kind === 'refused' && refused.id?.text).toBe(text);
  });
});

test('ten megabytes of escaped control characters are read', () => {
  const frame = call('{"name":"a","arguments":{"x":""}}').length;
  const text = '\\u0001'.repeat(Math.floor((lineBytesMax - frame) / 6));
  const line = Buffer.from(`${call(`{"name":"a","arguments":{"x":"${text}"}}`)}\n`);
  const [part] = new LineSplitter(lineBytesMax).push(line);
  expect(part).toMatchObject({ start: true, end: true });
  expect(read(line).kind).toBe('request');
});
