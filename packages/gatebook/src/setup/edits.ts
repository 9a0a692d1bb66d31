/** A stretch of a text, in UTF-16 units, and what is to stand in its place. */
export interface Edit {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

/** Edits must not overlap; their order does not matter. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let edited = '';
  let at = 0;
  for (const edit of sorted(edits)) {
    edited += text.slice(at, edit.offset) + edit.text;
    at = edit.offset + edit.length;
  }
  return edited + text.slice(at);
}

/**
 * The edits as a unified diff without lines of context: what stands beside a server's command, its variables above all, is
 * nobody's business but the client's. Empty where nothing is edited.
 */
export function diffText(name: string, text: string, edits: readonly Edit[]): string {
  const lines = lineStarts(text);
  const lineOf = (offset: number): number => lines.findLastIndex((start) => start <= offset);
  let hunks = '';
  let moved = 0;
  for (const group of grouped(edits, lineOf)) {
    const from = lines[group.first]!;
    const to = lines[group.last + 1] ?? text.length;
    const before = linesOf(text.slice(from, to));
    const shifted = group.edits.map((edit) => ({ ...edit, offset: edit.offset - from }));
    const after = linesOf(applyEdits(text.slice(from, to), shifted));
    const head = `@@ -${range(group.first, before)} +${range(group.first + moved, after)} @@\n`;
    hunks += head + before.map((line) => `-${line}\n`).join('');
    hunks += after.map((line) => `+${line}\n`).join('');
    moved += after.length - before.length;
  }
  return hunks === '' ? '' : `--- ${name}\n+++ ${name}\n${hunks}`;
}

interface Group {
  readonly first: number;
  last: number;
  readonly edits: Edit[];
}

/** Edits that touch the same or neighbouring lines go together. */
function grouped(edits: readonly Edit[], lineOf: (offset: number) => number): Group[] {
  const groups: Group[] = [];
  for (const edit of sorted(edits)) {
    const [first, last] = [lineOf(edit.offset), lineOf(edit.offset + edit.length)];
    const open = groups.at(-1);
    if (open !== undefined && first <= open.last + 1) {
      open.last = Math.max(open.last, last);
      open.edits.push(edit);
    } else groups.push({ first, last, edits: [edit] });
  }
  return groups;
}

function sorted(edits: readonly Edit[]): Edit[] {
  return [...edits].sort((a, b) => a.offset - b.offset);
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function linesOf(text: string): string[] {
  return text.replace(/\r?\n$/, '').split(/\r?\n/);
}

function range(first: number, { length }: readonly string[]): string {
  return length === 1 ? `${first + 1}` : `${first + 1},${length}`;
}
