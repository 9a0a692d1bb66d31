import { outputFile, standardOutput, withDestination } from './destination.js';
import { compileFilter, type Filter } from './filter.js';
import { requireLog } from './log-folder.js';
import { recordOpener, withPseudonyms } from './opened-record.js';
import type { Places } from './places.js';
import { type Format, openPrinter } from './record-printer.js';
import { newestMatches, type Stretch, select, type Unreadable } from './selection.js';
import { count, counted, say } from './talk.js';

export interface SearchOptions {
  readonly places: Places;
  readonly filter: Filter;
  readonly format: Format;
  /** Whether commitments and pseudonyms are opened with the keys. */
  readonly open?: boolean | undefined;
  /** The newest so many; undefined: all, except in a table. */
  readonly limit?: number | undefined;
  readonly output?: string | undefined;
}

/** A table is for looking at; it ends here unless a limit is given. */
export const tableLimitDefault = 100;

/** `gatebook audit`: prints the matching records, oldest first. */
export async function search(options: SearchOptions): Promise<number> {
  const { places, format, output } = options;
  await requireLog(places.dir);
  const users = withPseudonyms(places, options.filter.users);
  const match = compileFilter({ ...options.filter, users });
  const opener = options.open ? recordOpener(places) : undefined;
  const limit = options.limit ?? (format === 'table' ? tableLimitDefault : undefined);
  const stretch: Stretch | undefined =
    limit === undefined ? undefined : await newestMatches(places.dir, match, limit);
  const destination = output === undefined ? standardOutput() : await outputFile(output, places);
  const unreadable: Unreadable = { count: 0, first: undefined };
  const shown = await withDestination(destination, async () => {
    const printer = await openPrinter(format, destination, process.env);
    const selection = {
      dir: places.dir,
      match,
      parse: printer.needsRecord || opener !== undefined,
      fromSeq: stretch?.fromSeq,
      untilSeq: stretch?.untilSeq,
    };
    let records = 0;
    for await (const { line, record } of select(selection, unreadable)) {
      const shown = record && opener?.(record, line.segment);
      await printer.add(shown?.line ?? line.line, shown?.record ?? record);
      records++;
    }
    await printer.flush();
    return records;
  });
  if (format === 'table') sayTable(shown, options.limit, stretch);
  return sayUnreadable(unreadable);
}

function sayTable(shown: number, limit: number | undefined, stretch: Stretch | undefined): void {
  if (shown === 0) say('no record matches');
  else if (stretch?.more && limit === undefined) {
    say(
      `these are the ${count(shown)} newest; older records match too: --limit N shows more, --format json or csv all`,
    );
  }
}

/** Lines that are no records make the answer incomplete, so the exit code says so. */
export function sayUnreadable(unreadable: Unreadable): 0 | 1 {
  if (unreadable.count === 0) return 0;
  say(
    `${counted(unreadable.count, 'line')} could not be read as records, the first in ${unreadable.first}; run gatebook audit verify`,
  );
  return 1;
}
