import { Client as NewerClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as NewerTransport } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Bench, openBench } from '../cli/gatebook.js';
import { briefly, callRecords, everything, fixture, gateWords, until } from './gate.js';

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.remove());

/** How a client starts a server through the gate. The SDKs pass on little of the environment by themselves. */
function launch(server: readonly string[]): {
  command: string;
  args: string[];
  env: Record<string, string>;
  stderr: 'ignore';
} {
  const [command, ...args] = gateWords(server);
  const env = {
    GATEBOOK_LOG: bench.log,
    GATEBOOK_KEYS: bench.keys,
    PATH: process.env['PATH'] ?? '',
  };
  return { command: command!, args, env, stderr: 'ignore' };
}

const bothEras = [process.execPath, fixture('both-eras-server.mjs')];

async function verified(): Promise<void> {
  // The SDKs do not wait for the very end of the process they close.
  await until(async () => {
    const status = JSON.parse((await bench.run(['audit', 'status', '--json'])).stdout) as object;
    return !('locked_by' in status) || status.locked_by === null || status.locked_by === undefined;
  });
  expect(await bench.run(['audit', 'verify', '--strict'])).toMatchObject({ code: 0 });
}

describe('the SDK, version 1', () => {
  test('works through the gate as without it', async () => {
    const client = new Client({ name: 'sdk-1', version: '1' });
    await client.connect(new StdioClientTransport(launch([process.execPath, everything, 'stdio'])));
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toContain('get-sum');
    const sums = await Promise.all(
      [1, 2, 3, 4, 5].map((a) => client.callTool({ name: 'get-sum', arguments: { a, b: 1 } })),
    );
    expect(sums.map((sum) => JSON.stringify(sum.content))).toEqual(
      [2, 3, 4, 5, 6].map((sum) => expect.stringContaining(`is ${sum}.`)),
    );
    const seen: number[] = [];
    const name = tools.find((tool) => tool.name.includes('long-running'))!.name;
    await client.callTool({ name, arguments: { duration: 0.4, steps: 4 } }, undefined, {
      onprogress: ({ progress }) => seen.push(progress),
    });
    // This client drops a notification that it reads together with the answer, so the last one may be missing.
    expect(seen.slice(0, 3)).toEqual([1, 2, 3]);
    const abort = new AbortController();
    const cancelled = client.callTool({ name, arguments: { duration: 2, steps: 2 } }, undefined, {
      signal: abort.signal,
    });
    setTimeout(() => abort.abort('changed my mind'), 200);
    await expect(cancelled).rejects.toThrow('changed my mind');
    await client.ping();
    await client.close();
    const records = await callRecords(bench);
    expect(records.filter((record) => record.action?.phase === 'intent')).toHaveLength(7);
    expect(records.filter((record) => record.result?.status === 'cancelled')).toHaveLength(1);
    expect(records[0]).toMatchObject({
      actor: { agent: 'sdk-1' },
      source: 'mcp-servers/everything',
    });
    await verified();
  });
});

describe('the SDK, version 2', () => {
  test.each([
    ['the older era', 'legacy'],
    ['the newer era', { pin: '2026-07-28' }],
    ['an era found out by a second process', 'auto'],
  ] as const)('%s works through the gate', async (_, mode) => {
    const client = new NewerClient(
      { name: 'sdk-2', version: '1' },
      { versionNegotiation: { mode }, capabilities: { elicitation: { form: {} } } },
    );
    client.setRequestHandler('elicitation/create', async () => ({
      action: 'accept' as const,
      content: { confirm: true },
    }));
    await client.connect(new NewerTransport(launch(bothEras)));
    expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual([
      'add',
      'refuse',
      'deploy',
    ]);
    const sum = await client.callTool({ name: 'add', arguments: { a: 2, b: 40 } });
    expect(sum.content).toEqual([{ type: 'text', text: '42' }]);
    expect((await client.callTool({ name: 'refuse', arguments: {} })).isError).toBe(true);
    const note = await client.readResource({ uri: 'note://one' });
    expect(note.contents).toMatchObject([{ text: 'a note' }]);
    expect((await client.getPrompt({ name: 'greet' })).messages).toHaveLength(1);
    await client.close();
    const records = await callRecords(bench);
    expect(briefly(records)).toEqual([
      'intent add',
      'outcome add ok',
      'intent refuse',
      'outcome refuse error',
      'intent note://one',
      'outcome note://one ok',
      'intent greet',
      'outcome greet ok',
    ]);
    expect(records.every((record) => record.actor?.agent === 'sdk-2')).toBe(true);
    expect(records[1]?.source).toBe('both-eras');
    const version = mode === 'legacy' ? '2025-11-25' : '2026-07-28';
    expect(records[0]?.details?.['protocol_version']).toBe(version);
    await verified();
  });

  test('a call that asks for input and the one that brings it are linked', async () => {
    const client = new NewerClient(
      { name: 'sdk-2', version: '1' },
      {
        versionNegotiation: { mode: { pin: '2026-07-28' } },
        capabilities: { elicitation: { form: {} } },
      },
    );
    client.setRequestHandler('elicitation/create', async () => ({
      action: 'accept' as const,
      content: { confirm: true },
    }));
    await client.connect(new NewerTransport(launch(bothEras)));
    const done = await client.callTool({ name: 'deploy', arguments: { env: 'prod' } });
    expect(done.content).toEqual([{ type: 'text', text: 'deployed prod' }]);
    await client.close();
    const records = await callRecords(bench);
    expect(briefly(records)).toEqual([
      'intent deploy',
      'outcome deploy input_required',
      'intent deploy',
      'outcome deploy ok',
    ]);
    expect(records[0]?.action?.continues).toBeUndefined();
    expect(records[2]?.action?.continues).toBe(records[0]?.call_id);
    expect(records[2]?.call_id).not.toBe(records[0]?.call_id);
    await verified();
  });

  test('the newer client takes a refusal of the gate as a tool error', async () => {
    const holder = bench.start(['record']);
    holder.stdin.write('{"event_type":"test.event"}\n');
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    holder.kill('SIGSTOP');
    const client = new NewerClient(
      { name: 'sdk-2', version: '1' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    await client.connect(new NewerTransport(launch(bothEras)));
    const refused = await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } });
    expect(refused.isError).toBe(true);
    expect(JSON.stringify(refused.content)).toContain('could not be recorded');
    await client.close();
    holder.kill('SIGCONT');
    holder.stdin.end();
    await new Promise((resolve) => holder.once('close', resolve));
    expect(briefly(await callRecords(bench))).toEqual(['test.event']);
  });
});
