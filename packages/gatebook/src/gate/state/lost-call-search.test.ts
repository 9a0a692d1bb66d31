import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditEvent, openAuditLog } from '@gatebook/audit';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LostCallSearch } from './lost-call-search.js';
import { StateFolder } from './state-folder.js';

let folder: string;
let dir: string;
let appended: AuditEvent[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatebook-search-'));
  dir = join(folder, 'log');
  appended = [];
  const log = await openAuditLog({ dir, keysDir: join(folder, 'keys') });
  const action = { phase: 'intent', tool: 'read' } as const;
  await log.append({ eventType: 'tool_execution', callId: 'own', action });
  await log.close();
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** An intent as this process's, but of somebody else or of another time; it stands behind all that is recorded. */
function intent(callId: string, emitter: string, atMs: number): void {
  const segments = join(dir, 'segments');
  const name = readdirSync(segments).find((each) => each.endsWith('.jsonl'));
  const file = join(segments, name!);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const own = JSON.parse(lines.find((line) => line.includes('"own"'))!) as object;
  const record = { ...own, seq: lines.length, call_id: callId, emitter };
  const timestamp = new Date(atMs).toISOString();
  appendFileSync(file, `${JSON.stringify({ ...record, timestamp })}\n`);
}

function search(gates: readonly number[] = []): LostCallSearch {
  const state = new StateFolder(join(folder, 'gate'));
  state.begin();
  const append = async (event: AuditEvent): Promise<never> => {
    appended.push(event);
    return undefined as never;
  };
  const book = { dir, log: async () => ({ append, content: 'off' as const }) };
  return new LostCallSearch(book, state, () => gates);
}

const lost = (): (string | undefined)[] => appended.map(({ callId }) => callId);

test('a clock that is set forward ends neither this process nor a gate that is there', async () => {
  intent('there', `pid:${process.ppid}`, Date.now());
  const now = Date.now() + 365 * 86_400_000;
  vi.spyOn(Date, 'now').mockReturnValue(now);
  const looking = search([process.pid, process.ppid]);
  await looking.run();
  expect(lost()).toEqual([]);
  expect(looking.isDone).toBe(false);
});

test('what another process of the same id left is lost', async () => {
  intent('before', `pid:${process.pid}`, Date.now() - performance.now() - 86_400_000);
  await search([process.pid]).run();
  expect(lost()).toEqual(['before']);
});

test('of a name that has gone those calls are lost that it had begun, not those of who has come with it since', async () => {
  const atMs = Date.now();
  intent('gone', 'agent-7', atMs - 1);
  intent('come', 'agent-7', atMs + 1);
  intent('else', 'agent-8', atMs - 1);
  await search().run({ emitter: 'agent-7', atMs });
  expect(lost()).toEqual(['gone']);
});
