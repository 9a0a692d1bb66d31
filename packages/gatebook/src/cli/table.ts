import { paint } from './colour.js';
import { displayWidth, fitToWidth } from './display-width.js';
import type { TableRow } from './table-row.js';
import { visible } from './visible.js';

type ColumnName = keyof TableRow;

interface Column {
  readonly name: ColumnName;
  readonly title: string;
  /** Never narrower than this while it is shown. */
  readonly min: number;
  /** Wide enough for most records. */
  readonly usual: number;
  /** Never wider than this. */
  readonly max: number;
  readonly align?: 'right';
}

const columns: readonly Column[] = [
  { name: 'time', title: 'TIME (UTC)', min: 19, usual: 19, max: 19 },
  { name: 'seq', title: 'SEQ', min: 3, usual: 7, max: 16, align: 'right' },
  { name: 'type', title: 'TYPE', min: 10, usual: 17, max: 24 },
  { name: 'who', title: 'WHO', min: 6, usual: 12, max: 24 },
  { name: 'what', title: 'WHAT', min: 12, usual: 30, max: 400 },
  { name: 'risk', title: 'RISK', min: 4, usual: 8, max: 8 },
  { name: 'result', title: 'RESULT', min: 10, usual: 24, max: 60 },
  { name: 'call', title: 'CALL', min: 8, usual: 8, max: 8 },
];

/** On a terminal too narrow for all, these go first. */
const dropOrder: readonly ColumnName[] = ['call', 'time', 'risk', 'type'];

const gap = '  ';
/** Text beyond this is cut before anything else is done with it: nobody sees it, and a cell can hold 64 KB. */
const cellUnitsMax = 1000;
/** The least that the four columns which are never dropped need; a narrower terminal breaks the lines. */
export const tableWidthMin = 37;
export const tableWidthDefault = 120;

export interface TableLayout {
  readonly columns: readonly { readonly column: Column; readonly width: number }[];
}

/**
 * Chooses the columns and their widths from a sample of the rows, so that a line is at most `width` wide. With `fill`,
 * for when other rows are still to come, columns are at least as wide as usual and the table takes the whole width.
 */
export function layOut(sample: readonly TableRow[], width: number, fill = false): TableLayout {
  const room = Math.max(tableWidthMin, width);
  let shown = columns.map((column) => ({
    column,
    width: Math.min(
      column.max,
      Math.max(column.min, fill ? column.usual : 0, column.title.length, widest(sample, column)),
    ),
  }));
  for (const name of dropOrder) {
    if (minimum(shown) <= room) break;
    shown = shown.filter((entry) => entry.column.name !== name);
  }
  // Take from the widest column that can give, one step at a time; at most the sum of all widths in steps.
  while (total(shown) > room) {
    const giving = shown.filter((entry) => entry.width > entry.column.min);
    const first = giving.reduce<(typeof giving)[number] | undefined>(
      (best, entry) => (best === undefined || entry.width > best.width ? entry : best),
      undefined,
    );
    if (first === undefined) break;
    first.width--;
  }
  const what = shown.find((entry) => entry.column.name === 'what');
  if (fill && what !== undefined) what.width += Math.max(0, room - total(shown));
  return { columns: shown };
}

function widest(sample: readonly TableRow[], column: Column): number {
  let width = 0;
  for (const row of sample) {
    const text = cellText(row, column.name);
    width = Math.max(width, displayWidth(text));
  }
  return width;
}

function minimum(shown: readonly { column: Column }[]): number {
  return shown.reduce((sum, { column }) => sum + column.min, gap.length * (shown.length - 1));
}

function total(shown: readonly { width: number }[]): number {
  return shown.reduce((sum, { width }) => sum + width, gap.length * (shown.length - 1));
}

function cellText(row: TableRow, name: ColumnName): string {
  return visible(row[name].text.slice(0, cellUnitsMax));
}

export function headerLine(layout: TableLayout, colour: boolean): string {
  const titles = layout.columns.map(({ column, width }) =>
    fitToWidth(column.title, width, column.align),
  );
  return `${paint(titles.join(gap).trimEnd(), 'bold', colour)}\n`;
}

export function rowLine(row: TableRow, layout: TableLayout, colour: boolean): string {
  const cells = layout.columns.map(({ column, width }) => {
    const text = fitToWidth(cellText(row, column.name), width, column.align);
    return paint(text, row[column.name].colour, colour);
  });
  return `${cells.join(gap).trimEnd()}\n`;
}
