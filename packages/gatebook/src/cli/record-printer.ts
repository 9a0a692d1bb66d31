import type { LogRecord } from '@gatebook/audit';
import { coloured } from './colour.js';
import type { Destination } from './destination.js';
import { type RecordView, viewOf } from './record-view.js';
import { headerLine, layOut, rowLine, type TableLayout, tableWidthDefault } from './table.js';
import { rowOf, type TableRow } from './table-row.js';

export type Format = 'table' | 'json' | 'csv';

/** Prints records in one format. Bytes are gathered and written in larger pieces until `flush`. */
export interface RecordPrinter {
  /** Whether `add` needs the parsed record, or only the line. */
  readonly needsRecord: boolean;
  add(line: Uint8Array, record: LogRecord | undefined): Promise<void>;
  /** Writes what was gathered. */
  flush(): Promise<void>;
}

export async function openPrinter(
  format: Format,
  destination: Destination,
  env: Readonly<Record<string, string | undefined>>,
  following = false,
): Promise<RecordPrinter> {
  if (format === 'json') return jsonPrinter(destination);
  if (format === 'csv') return await csvPrinter(destination);
  return tablePrinter(destination, {
    colour: coloured(destination.terminal, env),
    width: widthOf(destination, env),
    fill: following,
  });
}

function widthOf(
  destination: Destination,
  env: Readonly<Record<string, string | undefined>>,
): number {
  if (destination.terminal) return process.stdout.columns || tableWidthDefault;
  const columns = Number(env['COLUMNS']);
  return Number.isSafeInteger(columns) && columns > 0 ? columns : tableWidthDefault;
}

const pieceBytesMax = 64 * 1024;
const newline = Buffer.from('\n');

/** One record a line, as stored. */
function jsonPrinter(destination: Destination): RecordPrinter {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (bytes === 0) return;
    const data = Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
    await destination.write(data);
  };
  return {
    needsRecord: false,
    add: async (line) => {
      pieces.push(line, newline);
      bytes += line.length + 1;
      if (bytes >= pieceBytesMax) await flush();
    },
    flush,
  };
}

const csvRowsMax = 256;

async function csvPrinter(destination: Destination): Promise<RecordPrinter> {
  const { csvHeaderLine, csvLines } = await import('./csv.js');
  let views: RecordView[] = [];
  let begun = false;
  const flush = async (): Promise<void> => {
    const text = (begun ? '' : csvHeaderLine()) + csvLines(views, destination.terminal);
    begun = true;
    views = [];
    if (text !== '') await destination.write(text);
  };
  return {
    needsRecord: true,
    add: async (_line, record) => {
      if (record !== undefined) views.push(viewOf(record));
      if (views.length >= csvRowsMax) await flush();
    },
    flush,
  };
}

/** The widths are chosen from the first so many rows; later rows are cut to them. */
const tableSampleMax = 200;

function tablePrinter(
  destination: Destination,
  { colour, width, fill }: { colour: boolean; width: number; fill: boolean },
): RecordPrinter {
  let rows: TableRow[] = [];
  let layout: TableLayout | undefined;
  const flush = async (): Promise<void> => {
    if (rows.length === 0) return;
    let text = '';
    if (layout === undefined) {
      layout = layOut(rows, width, fill);
      text += headerLine(layout, colour);
    }
    for (const row of rows) text += rowLine(row, layout, colour);
    rows = [];
    await destination.write(text);
  };
  return {
    needsRecord: true,
    add: async (_line, record) => {
      if (record !== undefined) rows.push(rowOf(viewOf(record)));
      if (rows.length >= tableSampleMax) await flush();
    },
    flush,
  };
}
