import {
  AuditError,
  type Dimension,
  listTallies,
  logStatus,
  proveTally,
  readTally,
  type TallyEntry,
  type TallyQuestion,
} from '@gatebook/audit';
import { outputFile, standardOutput, withDestination, writeStdout } from './destination.js';
import { CliError, usageError } from './failure.js';
import { requireLog } from './log-folder.js';
import type { Places } from './places.js';
import { visible } from './visible.js';

export interface TallyOptions {
  readonly places: Places;
  /** First seq of a segment; default: all that are sealed. */
  readonly segment?: number | undefined;
  readonly dimension?: Dimension | undefined;
  /** Null asks for the records with none. */
  readonly value?: string | null | undefined;
  readonly json: boolean;
  readonly prove: boolean;
  readonly output?: string | undefined;
}

/** `gatebook audit tally`: how many records of the sealed segments have which type, actor, tool, risk and decision. */
export async function tally(options: TallyOptions): Promise<number> {
  const { places } = options;
  await requireLog(places.dir);
  if (options.prove) return await prove(options);
  const segments = options.segment === undefined ? listTallies(places.dir) : [options.segment];
  const entries = sum(segments.map((segment) => readTally(places.dir, segment)));
  const question = questionOf(options);
  const shown = entries.filter(
    ({ dimension, value }) =>
      (options.dimension === undefined || dimension === options.dimension) &&
      (question === undefined || value === question.value),
  );
  await writeStdout(options.json ? jsonOf(shown) : textOf(shown));
  return 0;
}

/** A value on the command line is text; a decision is true or false. */
function questionOf({ dimension, value }: TallyOptions): TallyQuestion | undefined {
  if (value === undefined) return undefined;
  if (dimension === undefined) throw usageError('--value and --none need --dimension');
  if (dimension !== 'decision' || value === null) return { dimension, value };
  if (value !== 'true' && value !== 'false') {
    throw usageError('--value: a decision is true or false');
  }
  return { dimension, value: value === 'true' };
}

function sum(tallies: readonly (readonly TallyEntry[])[]): TallyEntry[] {
  const all = new Map<string, TallyEntry>();
  for (const entry of tallies.flat()) {
    const key = JSON.stringify([entry.dimension, entry.value]);
    all.set(key, { ...entry, count: entry.count + (all.get(key)?.count ?? 0) });
  }
  return [...all.values()];
}

function jsonOf(entries: readonly TallyEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
}

function textOf(entries: readonly TallyEntry[]): string {
  const width = Math.max(0, ...entries.map(({ count }) => String(count).length));
  const lines = entries.map(({ dimension, value, count }) => {
    const text = value === null ? 'none' : JSON.stringify(value);
    return `${String(count).padStart(width)}  ${dimension.padEnd(8)}  ${visible(text)}\n`;
  });
  return lines.join('');
}

async function prove(options: TallyOptions): Promise<number> {
  const { places, segment, output } = options;
  const question = questionOf(options);
  if (question === undefined || segment === undefined) {
    throw usageError('--prove needs --segment, --dimension, and --value or --none');
  }
  let proof: string;
  try {
    proof = await proveTally({ dir: places.dir, segment, question });
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'not_found') throw error;
    const { segments } = await logStatus({ dir: places.dir, keysDir: places.keysDir });
    throw new CliError(1, `${error.message}; the log has ${segments} segments`, { cause: error });
  }
  const destination = output === undefined ? standardOutput() : await outputFile(output, places);
  await withDestination(destination, async () => await destination.write(proof));
  return 0;
}
