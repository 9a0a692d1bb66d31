import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openAuditLog } from '@gatebook/audit';
import { pino } from 'pino';
import { batchAfterBatch, keepInFlight, type Run, startRun } from './drive.js';
import { event } from './event.js';
import type { Load } from './plan.js';

/** One way to get events onto the disk. */
export interface Appender {
  readonly name: string;
  /** `place` is a path where nothing is yet; `line` the bytes of one record, newline included. */
  append(load: Load, place: string, line: Buffer): Promise<Run>;
}

/** `await log.append(event)` in as many places as there are records in flight. Opening and closing are not counted. */
export const gatebook: Appender = {
  name: 'gatebook',
  async append(load, place) {
    const folders = { dir: path.join(place, 'log'), keysDir: path.join(place, 'keys') };
    const log = await openAuditLog(folders);
    try {
      const append = async (): Promise<void> => {
        await log.append(event);
      };
      await keepInFlight({ ...load, recordsMax: load.warmUp }, append);
      return await keepInFlight(load, append);
    } finally {
      await log.close();
    }
  },
};

/** The least that durability costs: the same bytes, as many as are in flight, one write and one fdatasync, in a loop. */
export const bareSync: Appender = {
  name: 'bare writeSync + fdatasyncSync',
  async append(load, place, line) {
    const batch = Buffer.concat(Array.from({ length: load.inFlight }, () => line));
    const fd = fs.openSync(place, 'wx', 0o600);
    try {
      return batchAfterBatch(load, () => {
        writeWholeSync(fd, batch);
        fs.fdatasyncSync(fd);
      });
    } finally {
      fs.closeSync(fd);
    }
  },
};

/** The same by the promise API, as an application does that must not stop its event loop. */
export const barePromises: Appender = {
  name: 'bare write + datasync (promises)',
  async append(load, place, line) {
    const batch = Buffer.concat(Array.from({ length: load.inFlight }, () => line));
    const handle = await fs.promises.open(place, 'wx', 0o600);
    try {
      const batches = Math.ceil(load.recordsMax / load.inFlight);
      const run = await keepInFlight({ ...load, recordsMax: batches, inFlight: 1 }, async () => {
        await writeWhole(handle, batch);
        await handle.datasync();
      });
      // The time of a whole batch is nobody's latency.
      const latencies = load.inFlight === 1 ? run.latencies : [];
      return { ...run, records: run.records * load.inFlight, latencies };
    } finally {
      await handle.close();
    }
  },
};

/**
 * pino, without durability: as many events a turn of the event loop as are in flight, nobody waits for any of them. The
 * time until the last byte is handed to the operating system is counted; none is synced.
 */
export const pinoFile: Appender = {
  name: 'pino, not durable',
  async append(load, place) {
    const destination = pino.destination({ dest: place, sync: false });
    await once(destination, 'ready');
    const logger = pino(destination);
    const finish = startRun();
    const until = performance.now() + load.msMax;
    let records = 0;
    while (records < load.recordsMax && performance.now() < until) {
      for (let i = 0; i < load.inFlight; i++) logger.info(event);
      records += load.inFlight;
      await nextTurn();
    }
    destination.end();
    await once(destination, 'close');
    return finish(records);
  },
};

/** Each event opens, writes, syncs and closes the file; with more in flight, that many at once by the promise API. */
export const filePerEvent: Appender = {
  name: 'open + write + fsync + close',
  async append(load, place, line) {
    if (load.inFlight > 1) return keepInFlight(load, () => appendOnce(place, line));
    return batchAfterBatch(load, () => {
      const fd = fs.openSync(place, 'a', 0o600);
      writeWholeSync(fd, line);
      fs.fsyncSync(fd);
      fs.closeSync(fd);
    });
  },
};

async function appendOnce(file: string, line: Buffer): Promise<void> {
  const handle = await fs.promises.open(file, 'a', 0o600);
  try {
    await writeWhole(handle, line);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeWhole(handle: fs.promises.FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
  }
}

function writeWholeSync(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(fd, bytes, done, bytes.length - done);
  }
}
