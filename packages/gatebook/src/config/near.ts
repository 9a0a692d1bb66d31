/** The name most like this one, when one is like it: within two edits, or a third of its length. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase().replaceAll('-', '_').slice(0, charsMax);
  let best: string | undefined;
  let bestEdits = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of names) {
    const edits = editsBetween(wanted, candidate.toLowerCase());
    if (edits >= bestEdits) continue;
    best = candidate;
    bestEdits = edits;
  }
  return best;
}

/** The words that suggest it, or none. */
export function didYouMean(name: string, names: Iterable<string>): string {
  const near = nearest(name, names);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

const charsMax = 200;

/** Edits that make one word the other: a character put in, left out or changed, or two neighbours swapped. */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) edits = Math.min(edits, before[j - 2]! + 1);
      next.push(edits);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
