import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openBench } from '../cli/gatebook.js';
import { callRecords, fixture, startGate } from './gate.js';

/** A small generator with a seed (mulberry32), so that a failure can be repeated. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const call =
  '{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"echo","arguments":{"a":1}}}';
const seeds = [
  call,
  '{"jsonrpc":"2.0","id":ID,"method":"ping"}',
  '{"jsonrpc":"2.0","method":"notifications/x","params":{"name":"echo","method":"tools/call"}}',
  `{"jsonrpc":"2.0","id":ID,"method":"x/y","params":{"a":${call}}}`,
  '{"jsonrpc":"2.0","id":ID,"result":{"x":1}}',
];
const splices = [
  '"method":"tools/call",',
  ',"method":"tools/call"',
  ',"Method":"tools/call"',
  ',"\\u006dethod":"tools/call"',
  ',"params":{"name":"echo"}',
  ',"name":"b"',
  ',"NAME":"b"',
  '\r',
  '\u2028',
  '\u0085',
  '\u0000',
  '\\u0000',
  '\\ud800',
  '\ufeff',
  '\n',
  '"',
  '\\',
  '[',
  ']',
  '{',
  '}',
  ',',
  ' ',
  '\t',
  'e0',
  '.0',
  '//',
  'null',
  call,
];

const members = [
  '"method":"tools/call"',
  '"method":"ping"',
  '"Method":"tools/call"',
  '"metho\\u0064":"tools/call"',
  '"method\u017f":"x"',
  '"params":{"name":"echo"}',
  '"params":{"name":"echo","Name":"b"}',
  '"params":{"name":"echo","arguments":{}}',
  '"PARAMS":{"name":"b"}',
  '"id":1e3',
  '"Id":7',
  '"result":{}',
  '"extra":[]',
];

/** A message of members that are each well formed; most of them do not belong together. */
function composed(random: () => number, id: number): string {
  const chosen = ['"jsonrpc":"2.0"', `"id":${id}`];
  for (let i = 1 + Math.floor(random() * 4); i > 0; i--) {
    chosen.splice(
      Math.floor(random() * (chosen.length + 1)),
      0,
      members[Math.floor(random() * members.length)]!,
    );
  }
  return `{${chosen.join(random() < 0.05 ? ',\r' : ', ')}}`;
}

function mutated(random: () => number, id: number): string {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  let line = pick(seeds).replaceAll('ID', String(id));
  for (let i = Math.floor(random() * 4); i > 0; i--) {
    const at = Math.floor(random() * (line.length + 1));
    const drop = random() < 0.3 ? 1 + Math.floor(random() * 4) : 0;
    line = line.slice(0, at) + pick(splices).replaceAll('ID', String(id)) + line.slice(at + drop);
  }
  return line;
}

/** What some readers take for a line end and others do not. */
const otherLineEnds = /[\r\v\f\u0085\u2028\u2029\u001c-\u001e](?!$)/;

/** Which tools a reader would call that does not look at case: the last of several members counts for it. */
function toolsReadBy(lines: readonly string[]): string[] {
  const tools: string[] = [];
  for (const line of lines) {
    let value: unknown;
    try {
      value = JSON.parse(line.replace(/^\ufeff/, ''));
    } catch {
      continue;
    }
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
      const message = lowerCased(item);
      if (message['method'] === 'tools/call')
        tools.push(String(lowerCased(message['params'])['name']));
    }
  }
  return tools;
}

function lowerCased(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name.toLowerCase(), of]));
}

test('no line brings a call to the server that the log has read differently', async () => {
  const seed = Number(process.env['GATEBOOK_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`smuggling: GATEBOOK_SEED=${seed}`);
  const random = generator(seed);
  const bench = await openBench();
  try {
    const tap = join(bench.folder, 'tap');
    const gate = startGate(bench, [process.execPath, fixture('tap-server.mjs'), tap]);
    for (let id = 1; id <= 4000; id++) {
      gate.send(`${random() < 0.5 ? mutated(random, id) : composed(random, id)}\n`);
    }
    gate.send({ id: 'last', method: 'ping' });
    gate.child.stdin.end();
    expect((await gate.ended).code).toBe(0);
    const text = await readFile(tap, 'utf8');
    const records = await callRecords(bench);
    const intents = records.filter((record) => record.action?.phase === 'intent');
    const refused = records.filter((record) => record.event_type === 'security_event');
    expect(intents.length).toBeGreaterThan(100);
    expect(refused.length).toBeGreaterThan(100);
    const lines = text.split('\n');
    expect(toolsReadBy(lines)).toEqual(intents.map((record) => record.action?.tool));
    for (const line of lines) {
      const pieces = line.split(otherLineEnds);
      if (pieces.length > 1) expect(toolsReadBy(pieces)).toEqual([]);
    }
    expect((await bench.run(['audit', 'verify'])).code).toBe(0);
  } finally {
    await bench.remove();
  }
});
