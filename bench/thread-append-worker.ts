import * as fs from 'node:fs';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { HopData } from './thread-append.js';

/** Writes and syncs what it is handed, one message after the other, and answers each; an empty message ends it. */
const { file, port, signal } = workerData as HopData;
const fd = fs.openSync(file, 'wx', 0o600);

function serve(): void {
  for (;;) {
    const seen = Atomics.load(signal, 0);
    const received = receiveMessageOnPort(port) as { message: Uint8Array | undefined } | undefined;
    if (received === undefined) {
      Atomics.wait(signal, 0, seen);
      continue;
    }
    const { message } = received;
    if (message === undefined) return;
    for (let done = 0; done < message.length; ) {
      done += fs.writeSync(fd, message, done, message.length - done);
    }
    fs.fdatasyncSync(fd);
    port.postMessage(0);
  }
}

serve();
fs.closeSync(fd);
port.close();
