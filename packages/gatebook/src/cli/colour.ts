import type { CellColour } from './table-row.js';

const codes: Readonly<Record<CellColour | 'green' | 'bold', string>> = {
  red: '31',
  yellow: '33',
  green: '32',
  dim: '2',
  bold: '1',
};

/** Whether to colour: only for a person at a terminal who did not set NO_COLOR (https://no-color.org). */
export function coloured(
  terminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const refused = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '';
  return terminal && !refused && env['TERM'] !== 'dumb';
}

export function paint(text: string, colour: keyof typeof codes | undefined, on: boolean): string {
  return on && colour !== undefined && text !== '' ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
}
