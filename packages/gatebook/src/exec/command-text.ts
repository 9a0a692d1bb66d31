/** Words that a POSIX shell reads as themselves. */
const plain = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** A command and its arguments as one line that a POSIX shell would read as the same words. */
export function commandText(words: readonly string[]): string {
  return words.map((word) => (plain.test(word) ? word : quoted(word))).join(' ');
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
