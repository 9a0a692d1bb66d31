import { readFileSync } from 'node:fs';

/** The cases of a corpus: one a line, and what is indented by a tab goes on with the case before it. */
export function readCorpus(name: 'benign' | 'dangerous'): string[] {
  const text = readFileSync(new URL(`../../corpus/${name}.txt`, import.meta.url), 'utf8');
  const cases: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('\t') && cases.length > 0) cases.push(`${cases.pop()}\n${line.slice(1)}`);
    else if (line !== '' && !line.startsWith('#')) cases.push(line);
  }
  return cases;
}
