const ascii = /^[\x20-\x7e]*$/;
const combining = /^\p{M}$/u;
const emoji = /^\p{Emoji_Presentation}$/u;

// Blocks that Unicode's EastAsianWidth.txt marks wide or fullwidth, joined where only unassigned points lie between.
const wideRanges: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18cff],
  [0x1b000, 0x1b2ff],
  [0x20000, 0x3fffd],
];

function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (combining.test(character)) return 0;
  if (emoji.test(character)) return 2;
  return wideRanges.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}

/** Columns that text takes on a terminal; the text holds no control characters (see `visible`). */
export function displayWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/** Text cut to at most `width` columns, ending in `…` where it was cut. */
export function cutToWidth(text: string, width: number): string {
  // A column holds at most a few combining marks; a longer heap of them is not text and is cut with the rest.
  const unitsMax = width * 8;
  if (text.length <= unitsMax && displayWidth(text) <= width) return text;
  if (width <= 0) return '';
  let cut = '';
  let used = 0;
  for (const character of text) {
    used += widthOf(character);
    if (used > width - 1 || cut.length + character.length > unitsMax) break;
    cut += character;
  }
  return `${cut}…`;
}

/** Text cut or padded with spaces to exactly `width` columns. */
export function fitToWidth(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const cut = cutToWidth(text, width);
  const padding = ' '.repeat(Math.max(0, width - displayWidth(cut)));
  return align === 'left' ? cut + padding : padding + cut;
}
