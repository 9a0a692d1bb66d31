import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { askGatebook, type SecondVerifier } from '../attacks/verifiers.js';
import type { Bench } from './gatebook.js';

/** Alice, who is to be erased, and Bob, who stays. */

export const words = {
  alice: ['alice-4711', '@alice-w', 'tabby-of-alice', '203.0.113.7'],
  bob: ['bob-4712', '@bob-b', 'dog-of-bob', '203.0.113.8'],
} as const;
export type Person = keyof typeof words;

export const personal = ['--content', 'personal', '--max-size-mb', '0.005'];

export function call(person: Person, i: number): object {
  const [user_id, username, secret, ip] = words[person];
  const output = i === 0 ? secret.repeat(10_000) : secret;
  return {
    event_type: 'tool_execution',
    actor: { user_id, username, ip },
    action: { phase: 'outcome', tool: 'pets', command: `feed ${secret}`, arguments: { secret, i } },
    result: { success: false, error: `no ${secret}`, output },
  };
}

async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const files: string[] = [];
  for (const name of names) {
    const file = join(folder, name);
    if ((await stat(file).catch(() => undefined))?.isFile()) files.push(file);
  }
  return files;
}

/** The files below the log and keys folders that hold one of a person's words, compressed or not. */
export async function filesWith(bench: Bench, person: Person): Promise<string[]> {
  const found: string[] = [];
  for (const file of [...(await filesBelow(bench.log)), ...(await filesBelow(bench.keys))]) {
    const bytes = await readFile(file);
    const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
    const sealed = [plain, Buffer.from(plain.toString('latin1').replaceAll('\\', ''), 'latin1')];
    if (words[person].some((word) => sealed.some((each) => each.includes(word)))) found.push(file);
  }
  return found;
}

interface Opened {
  readonly seq: number;
  readonly actor?: { readonly user_id?: string };
  readonly opened: Readonly<Record<string, string>>;
  readonly unopened: Readonly<Record<string, string>>;
}

export async function openedOf(bench: Bench, user: string): Promise<Opened[]> {
  return (await bench.records(['--user', user, '--open'])) as unknown as Opened[];
}

interface Erasure {
  readonly subjects: readonly string[];
  readonly contents: number;
  readonly unreached: {
    readonly records: { readonly count: number };
    readonly files: readonly string[];
  };
}

export async function erase(bench: Bench, user: string, ...more: string[]): Promise<Erasure> {
  const ran = await bench.run(['audit', 'erase', '--user', user, '--json', ...more]);
  expect(ran.code, ran.stderr).toBe(0);
  return JSON.parse(ran.stdout) as Erasure;
}

/** Both verifiers, at both levels. */
export async function expectSound(bench: Bench, python: SecondVerifier): Promise<void> {
  const keys = [join(bench.keys, 'public-key')];
  const hmacKey = join(bench.keys, 'initial-hmac-key');
  for (const brought of [{ keys }, { keys, hmacKey }]) {
    expect(await askGatebook(bench.log, brought)).toMatchObject({ verdict: 'ok', exit: 0 });
    expect(await python.ask(bench.log, brought)).toMatchObject({ verdict: 'ok', exit: 0 });
  }
}
