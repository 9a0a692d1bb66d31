import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, openBench, run, start } from '../cli/gatebook.js';
import type { Brought } from './attack.js';
import { startProducer } from './produce.js';
import { SecondVerifier } from './verifiers.js';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';
const timeoutMs = 10 * 60_000;

interface Watched {
  readonly rounds: number;
  /** What was said other than ok. */
  readonly reported: readonly string[];
}

describe('nothing is reported for an untouched log', () => {
  let bench: Bench;
  let second: SecondVerifier;
  beforeEach(async () => {
    bench = await openBench();
    second = new SecondVerifier();
    const first = `${JSON.stringify({ event_type: 'test.first' })}\n`;
    expect((await bench.run(['record'], { input: first })).code).toBe(0);
  });
  afterEach(async () => {
    second.close();
    await bench.remove();
  });

  const brought = (): readonly [Brought, Brought] => {
    const keys = [join(bench.keys, 'public-key')];
    return [{ keys }, { keys, hmacKey: join(bench.keys, 'initial-hmac-key') }];
  };

  /** One verification after the other, all four kinds, for as long as the writer runs and once more. */
  const watch = async (writer: ChildProcess): Promise<Watched> => {
    const reported: string[] = [];
    const ask = async (what: string, args: readonly string[]): Promise<void> => {
      const { code, stdout, stderr } = await run(['audit', 'verify', '--json', ...args]);
      if (code !== 0) reported.push(`${what}: exit ${code}: ${stdout}${stderr}`);
    };
    const [open, secret] = brought();
    const log = ['--log', bench.log];
    const head = [...log, '--keys', bench.keys];
    let rounds = 0;
    for (let last = false; !last; rounds++) {
      last = writer.exitCode !== null;
      const held = join(bench.folder, 'held');
      const kept = await run(['audit', 'checkpoint', ...head]);
      // While the writer runs there is no second one to make a checkpoint; the newest one is printed.
      if (kept.code === 0) await writeFile(held, kept.stdout);
      const evidence = kept.code === 0 ? ['--checkpoint', held] : [];
      await ask('public with head', [...head, ...evidence]);
      await ask('auditor with head', [...head, '--hmac-key', secret.hmacKey ?? '']);
      for (const each of [open, secret]) {
        const { exit, text } = await second.ask(bench.log, each);
        if (exit !== 0) reported.push(`verify.py: ${text}`);
      }
    }
    return { rounds, reported };
  };

  const expectQuiet = async (writer: ChildProcess, roundsMin: number): Promise<void> => {
    const closed = once(writer, 'close');
    const { rounds, reported } = await watch(writer);
    await closed;
    expect(writer.exitCode).toBe(0);
    expect(reported.join('\n')).toBe('');
    expect(rounds).toBeGreaterThanOrEqual(roundsMin);
    for (const each of brought()) {
      const strict = { ...each, strict: true };
      expect(await second.ask(bench.log, strict)).toMatchObject({ verdict: 'ok', exit: 0 });
    }
    expect((await bench.run(['audit', 'verify', '--strict'])).code).toBe(0);
  };

  it('before, during and after full-speed writing with short segments and epochs', {
    timeout: timeoutMs,
  }, async () => {
    const events = wholeRun ? '20000' : '1500';
    const sizes = ['--segment-bytes', '16384', '--epoch-ms', '15', '--at-once', '64'];
    const places = ['--log', bench.log, '--keys', bench.keys];
    await expectQuiet(startProducer([...places, ...sizes, '--events', events]), 2);
  });

  it('during full-speed writing by gatebook record', { timeout: timeoutMs }, async () => {
    const count = wholeRun ? 100_000 : 4_000;
    const writer = start(['record', '--log', bench.log, '--keys', bench.keys]);
    writer.stdout.resume();
    writer.stderr.resume();
    void feed(writer.stdin, count);
    await expectQuiet(writer, 2);
  });
});

async function feed(input: NodeJS.WritableStream, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const line = `${JSON.stringify({ event_type: 'test.event', details: { i, x: 'x'.repeat(200) } })}\n`;
    if (!input.write(line)) await once(input, 'drain');
  }
  input.end();
}
