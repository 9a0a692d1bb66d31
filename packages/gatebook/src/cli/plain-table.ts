import { displayWidth } from './display-width.js';
import { visible } from './visible.js';

/** Lines with columns as wide as their widest cell; what a terminal would act on stands as an escape. */
export function plainTable(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(visible));
  const widths: number[] = [];
  for (const row of shown) {
    for (const [place, cell] of row.entries()) {
      widths[place] = Math.max(widths[place] ?? 0, displayWidth(cell));
    }
  }
  const padded = (cell: string, place: number): string =>
    cell + ' '.repeat(widths[place]! - displayWidth(cell));
  return shown.map((row) => `${row.map(padded).join('  ').trimEnd()}\n`).join('');
}
