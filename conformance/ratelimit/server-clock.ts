import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A wall clock for a started program that can be set while it runs; its monotonic clock stays the machine's. */
export class ServerClock {
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  private constructor(file: string, library: string) {
    this.#file = file;
    this.env = {
      // The C library again, before Redis' own allocator, which asks for the time before libfaketime has begun.
      LD_PRELOAD: `${library} libc.so.6`,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      TZ: 'UTC',
    };
  }

  static async open(dir: string): Promise<ServerClock> {
    const clock = new ServerClock(join(dir, 'wall-clock'), await libraryPath());
    await clock.set(0);
    return clock;
  }

  async set(aheadSeconds: number): Promise<void> {
    await this.#write(`${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}s`);
  }

  /** It stands still at this time, in ms since 1970, until it is set again. */
  async standAt(ms: number): Promise<void> {
    // Half a µs more, since the library reads it as a fraction and rounds down.
    await this.#write(new Date(ms).toISOString().replace('T', ' ').replace('Z', '0005'));
  }

  /** Renamed into its place: whoever reads half of it would have another time. */
  async #write(time: string): Promise<void> {
    const next = `${this.#file}.next`;
    await writeFile(next, `${time}\n`);
    await rename(next, this.#file);
  }
}

/** The whole path: a name alone is looked for where it does not lie. */
async function libraryPath(): Promise<string> {
  for (const machine of await readdir('/usr/lib')) {
    const folder = join('/usr/lib', machine, 'faketime');
    const names = await readdir(folder).catch((): string[] => []);
    if (names.includes('libfaketime.so.1')) return join(folder, 'libfaketime.so.1');
  }
  throw new Error('libfaketime.so.1 is in no folder of /usr/lib');
}
