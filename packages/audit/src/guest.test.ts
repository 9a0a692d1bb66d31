import { createServer } from 'node:net';
import * as path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Guest, type Host } from './guest.js';
import { openAuditLog } from './log.js';
import type { Question } from './question.js';
import { listedPerFrame, protocolVersion } from './relay-messages.js';
import { temporaryFolder } from './testing/folders.js';

test('a list longer than a frame comes whole, and what is asked meanwhile is not mixed up with it', async () => {
  const removed = Array.from({ length: 12 * listedPerFrame + 7 }, (_, i) => ({
    firstSeq: i * 1_000_000,
    lastSeq: i * 1_000_000 + 999_999,
    reason: 'age' as const,
  }));
  const answers = { prune: removed, rotate: undefined, checkpoint: 'a note' } as const;
  const host: Host = {
    hello: (guest) =>
      guest.welcome({
        ...{ protocol: protocolVersion, pid: process.pid, host: 'h', origin: 'a', publicKey: 'a' },
        ...{ content: 'off', durability: 'sync', size: 0 },
      }),
    hungry: () => {},
    find: () => {},
    ask: (guest, id, { ask }: Question) =>
      guest.answer({ id, answer: answers[ask as keyof typeof answers] }),
    consult: () => {},
    reads: () => {},
    left: () => {},
  };
  const socket = path.join(temporaryFolder(), 's');
  const server = createServer((connection) => void new Guest(connection, host));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => void server.close());
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
