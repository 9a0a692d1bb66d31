/**
 * How the laxest parser we know of would read a member name or method: some compare without regard to case (Go folds
 * even U+017F to s and U+212A to k), some end a name at NUL, some trim it.
 */
export function laxName(name: string): string {
  return name
    .slice(0, 200)
    .replace(/\u0000.*$/s, '')
    .toUpperCase()
    .toLowerCase()
    .replace(/[\u0001-\u0020]|\u0307/g, '');
}

/** The guarded name that `name` could be taken for without being it. */
export function mistakenFor(
  name: string,
  guarded: ReadonlyMap<string, string>,
): string | undefined {
  const exact = guarded.get(laxName(name));
  return exact === undefined || exact === name ? undefined : exact;
}

/** Names by how a lax parser reads them. */
export function guard(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name) => [laxName(name), name]));
}

/** Whether every parser reads the same text: no lone surrogate, no NUL. */
export function readsTheSame(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000');
}
