import { standardOutput } from './destination.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { type Format, openPrinter, type RecordPrinter } from './record-printer.js';
import { sayUnreadable } from './search.js';
import { newestMatches, select, type Unreadable } from './selection.js';

export interface TailOptions {
  readonly places: Places;
  readonly format: Format;
  readonly lines: number;
  readonly follow: boolean;
}

/** `gatebook audit tail`: the newest records, and with `follow` each new one once it is in the file. */
export async function tail(options: TailOptions): Promise<number> {
  const { places, format, follow } = options;
  await requireLog(places.dir);
  const unreadable: Unreadable = { count: 0, first: undefined };
  const printer = await openPrinter(format, standardOutput(), process.env, follow);
  const stretch = await newestMatches(places.dir, undefined, Math.max(1, options.lines));
  const past = {
    dir: places.dir,
    match: undefined,
    parse: printer.needsRecord,
    fromSeq: stretch.fromSeq,
    untilSeq: stretch.untilSeq,
  };
  if (options.lines > 0) {
    for await (const { line, record } of select(past, unreadable))
      await printer.add(line.line, record);
  }
  await printer.flush();
  if (follow) await followFrom(stretch.untilSeq + 1, places.dir, printer, unreadable);
  return sayUnreadable(unreadable);
}

/** Ends when the process is asked to: that is how a person leaves it, so it is no failure. */
async function followFrom(
  fromSeq: number,
  dir: string,
  printer: RecordPrinter,
  unreadable: Unreadable,
): Promise<void> {
  const end = new AbortController();
  const stop = (): void => end.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  // Without this a reader that went away would be noticed only at the next record.
  process.stdout.once('close', stop);
  const selection = {
    dir,
    match: undefined,
    parse: printer.needsRecord,
    fromSeq,
    follow: end.signal,
  };
  for await (const { line, record } of select(selection, unreadable)) {
    await printer.add(line.line, record);
    await printer.flush();
  }
}
