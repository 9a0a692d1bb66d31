import { parentPort, workerData } from 'node:worker_threads';
import { Door } from './door.js';
import { AuditError, reasonOf } from './errors.js';
import { type DoorThreadData, type FromDoor, toPlainError } from './thread-messages.js';

/** The thread on which other processes are let in. It ends when the writer has. */

const data = workerData as DoorThreadData;

function say(message: FromDoor): void {
  parentPort?.postMessage(message);
}

function fail(error: unknown): void {
  const known =
    error instanceof AuditError
      ? error
      : new AuditError(
          'bad_socket',
          `other processes cannot be let in at ${data.door.socket}: ${reasonOf(error)}`,
          { cause: error },
        );
  say({ kind: 'failed', error: toPlainError(known) });
}

const door = new Door(data, { failed: fail, left: () => say({ kind: 'left' }) });
door.open().then(() => say({ kind: 'listening' }), fail);
