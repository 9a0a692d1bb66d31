/** What a sed script does beyond changing the text that passes through it. */
export interface SedDeeds {
  runs: boolean;
  /** Files it reads or writes. */
  reads: string[];
  writes: string[];
}

/**
 * Reads a sed script command by command. What it cannot follow it passes over to the next line, since sed itself
 * refuses a script with an error in it.
 */
export function readSed(script: string): SedDeeds {
  const deeds: SedDeeds = { runs: false, reads: [], writes: [] };
  let at = 0;
  while (at < script.length) {
    at = skipAddress(script, at);
    const letter = script[at];
    if (letter === undefined) break;
    at++;
    if (letter === 's' || letter === 'y') at = readSubstitution(script, at, letter, deeds);
    else if (letter === 'e') {
      deeds.runs = true;
      at = lineEnd(script, at);
    } else if (/[wWrR]/.test(letter)) {
      const end = lineEnd(script, at);
      (/[wW]/.test(letter) ? deeds.writes : deeds.reads).push(script.slice(at, end).trim());
      at = end;
    } else if (/[aic:btTlqQ#]/.test(letter) && !/[btTlqQ]/.test(letter)) at = lineEnd(script, at);
  }
  return deeds;
}

function lineEnd(script: string, at: number): number {
  const end = script.indexOf('\n', at);
  return end < 0 ? script.length : end;
}

/** Numbers, `$`, `/regular expressions/`, `!`, blanks, and the braces and semicolons between commands. */
function skipAddress(script: string, from: number): number {
  let at = from;
  while (at < script.length) {
    const letter = script[at]!;
    if (/[\s\d$,!;{}~+]/.test(letter)) at++;
    else if (letter === '/') at = afterDelimiter(script, at + 1, '/');
    else if (letter === '\\' && script[at + 1] !== undefined) {
      at = afterDelimiter(script, at + 2, script[at + 1]!);
    } else if (letter === 'I' || letter === 'M') at++;
    else break;
  }
  return at;
}

function afterDelimiter(script: string, from: number, delimiter: string): number {
  let at = from;
  for (; at < script.length; at++) {
    if (script[at] === '\\') at++;
    else if (script[at] === delimiter) return at + 1;
  }
  return script.length;
}

function readSubstitution(script: string, from: number, letter: string, deeds: SedDeeds): number {
  const delimiter = script[from];
  if (delimiter === undefined) return script.length;
  let at = afterDelimiter(script, from + 1, delimiter);
  at = afterDelimiter(script, at, delimiter);
  if (letter === 'y') return at;
  for (; at < script.length && /[a-zA-Z0-9]/.test(script[at]!); at++) {
    if (script[at] === 'e') deeds.runs = true;
    if (script[at] === 'w') {
      const end = lineEnd(script, at);
      deeds.writes.push(script.slice(at + 1, end).trim());
      return end;
    }
  }
  return at;
}
