/**
 * Variables whose value is written once in a text and named nowhere else but where they are used: what `D=/etc` makes
 * of `$D`. A variable that a loop, `read` or a second assignment may change is not among them.
 */
export function constantsOf(text: string): Map<string, string> {
  const constants = new Map<string, string>();
  for (const match of text.matchAll(assigned)) {
    const [, name = '', bare, single, double] = match;
    const value = bare ?? single ?? double ?? '';
    if (constants.size >= constantsMax || /[$`\\*?[{!]/.test(value)) continue;
    if (mentions(text, name) === 1) constants.set(name, value);
  }
  for (const [, name = ''] of text.matchAll(made)) {
    if (mentions(text, name) === 1) constants.set(name, '/tmp/made-for-the-moment');
  }
  return constants;
}

/** A folder made for the moment is one below `/tmp`. */
const made =
  /(?<=^|[\s;&|({])([A-Za-z_]\w*)="?\$\(mktemp( -[dqt]| --directory)*\)"?(?=$|[\s;&|)}])/g;
const constantsMax = 64;
const assigned =
  /(?<=^|[\s;&|({])(?:export\s+)?([A-Za-z_]\w*)=(?:([^\s'"`;&|<>()]+)|'([^']*)'|"([^"]*)")(?=$|[\s;&|)}])/g;

/** How often a name stands in a text without a `$` before it. */
function mentions(text: string, name: string): number {
  let count = 0;
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
    const before = text.slice(Math.max(0, at - 2), at);
    const after = text[at + name.length] ?? '';
    if (/\w$/.test(before) || /\w/.test(after)) continue;
    if (!/\$$|\$\{$/.test(before) || /^[:=]/.test(after)) count++;
    if (count > 1) break;
  }
  return count;
}
