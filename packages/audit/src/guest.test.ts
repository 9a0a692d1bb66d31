import { createServer } from 'node:net';
import * as path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Guest, type Host } from './guest.js';
import { openAuditLog } from './log.js';
import type { Question } from './question.js';
import { listedPerFrame, protocolVersion } from './relay-messages.js';
import { temporaryFolder } from './testing/folders.js';
import { RawClient } from './testing/raw-client.js';

/** Welcomes everybody, and does nothing else. */
const idleHost: Host = {
  hello: (guest) =>
    guest.welcome({
      ...{ protocol: protocolVersion, pid: process.pid, host: 'h', known: false, origin: 'a' },
      ...{ publicKey: 'a', content: 'off', durability: 'sync', size: 0 },
    }),
  hungry: () => {},
  find: () => {},
  ask: () => {},
  consult: () => {},
  reads: () => {},
  left: () => {},
};

async function listen(host: Host): Promise<string> {
  const socket = path.join(temporaryFolder(), 's');
  const server = createServer((connection) => void new Guest(connection, host));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => void server.close());
  return socket;
}

test('a list longer than a frame comes whole, and what is asked meanwhile is not mixed up with it', async () => {
  const removed = Array.from({ length: 12 * listedPerFrame + 7 }, (_, i) => ({
    firstSeq: i * 1_000_000,
    lastSeq: i * 1_000_000 + 999_999,
    reason: 'age' as const,
  }));
  const answers = { prune: removed, rotate: undefined, checkpoint: 'a note' } as const;
  const host: Host = {
    ...idleHost,
    ask: (guest, id, { ask }: Question) =>
      guest.answer({ id, answer: answers[ask as keyof typeof answers] }),
  };
  const socket = await listen(host);
  const log = await openAuditLog({ socket });
  const [first, sealed, second, note] = await Promise.all([
    log.prune(),
    log.rotate(),
    log.prune({ dryRun: true }),
    log.checkpoint(),
  ]);
  expect(first).toEqual(removed);
  expect(second).toEqual(removed);
  expect([sealed, note]).toEqual([undefined, 'a note']);
  await log.close();
});

test.each([
  // What one read of the socket brings is taken, 64 KiB at the most.
  ['small messages in their number', 10, 64 + 65_536 / 19],
  ['large messages in their bytes', 65_536, 6],
])('a guest whose messages wait is not read any more: %s', async (_, bytes, takenMax) => {
  let taken = 0;
  const socket = await listen({ ...idleHost, consult: () => void taken++ });
  const raw = new RawClient(socket);
  onTestFinished(() => void raw.socket.destroy());
  raw.hello();
  await expect.poll(() => raw.of('welcome').length).toBe(1);
  const text = 'x'.repeat(bytes);
  for (let id = 0; id < 10_000 && raw.socket.writableLength < 8 * 1024 * 1024; id++) {
    raw.consult(id, text);
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(taken).toBeGreaterThan(3);
  expect(taken).toBeLessThanOrEqual(takenMax);
  expect(raw.closed).toBe(false);
});
