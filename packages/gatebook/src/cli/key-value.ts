import { reasonOf, usageError } from './failure.js';
import { readNamedFile } from './log-folder.js';

/** A key given as itself or as a file that holds it; a key has two `+`, and names of files seldom have. */
export async function readKeyOrFile(
  option: string,
  value: string,
  parse: (text: string) => { readonly text: string },
): Promise<string> {
  const isKey = /^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$/u.test(value);
  const text = isKey ? value : await readNamedFile(option, value);
  try {
    return parse(text).text;
  } catch (error) {
    throw usageError(`${option} ${value}: ${reasonOf(error)}`, error);
  }
}
