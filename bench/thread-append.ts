import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Appender } from './append-contenders.js';
import { keepInFlight } from './drive.js';

/** What the thread of `thread-append-worker.ts` gets. */
export interface HopData {
  readonly file: string;
  readonly port: MessagePort;
  readonly signal: Int32Array;
}

/**
 * The bare writeSync and fdatasyncSync of the same bytes, done by another thread that is asked and answers through a
 * message port, as gatebook's is: what it costs to keep the host's event loop free, and nothing else. Only with one in flight.
 */
export const bareThread: Appender = {
  name: 'bare writeSync + fdatasyncSync on a thread',
  async append(load, place, line) {
    const { port1, port2 } = new MessageChannel();
    const signal = new Int32Array(new SharedArrayBuffer(4));
    const data: HopData = { file: place, port: port2, signal };
    const script = fileURLToPath(new URL('./thread-append-worker.js', import.meta.url));
    const worker = new Worker(script, { workerData: data, transferList: [port2] });
    const ask = (bytes: Uint8Array | undefined): void => {
      port1.postMessage(bytes);
      Atomics.add(signal, 0, 1);
      Atomics.notify(signal, 0);
    };
    let answered: () => void = () => {};
    port1.on('message', () => answered());
    const append = (): Promise<void> =>
      new Promise((resolve) => {
        answered = resolve;
        ask(new Uint8Array(line));
      });
    try {
      await keepInFlight({ ...load, recordsMax: load.warmUp }, append);
      return await keepInFlight(load, append);
    } finally {
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      ask(undefined);
      await ended;
      port1.close();
    }
  },
};
