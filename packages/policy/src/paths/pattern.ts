/**
 * Whether a shell pattern can stand for a path: `*` for any letters but `/`, `?` and a bracket for one. A bracket
 * is taken for any letter, so that more matches than the shell would find, never less. What only the shell knows (U+FFFD) stands for
 * anything.
 */
export function matchesPattern(pattern: string, path: string): boolean {
  const tokens = tokensOf(pattern);
  let token = 0;
  let at = 0;
  let star = -1;
  let retry = 0;
  while (at < path.length) {
    const now = tokens[token];
    // A dot at the head of a name is matched by a dot alone, as in the shell.
    const hidden = startsHidden(path, at);
    if (now === '*' || now === unknown) {
      star = token++;
      retry = at;
    } else if (now !== undefined && fits(now, path[at]!, hidden)) {
      token++;
      at++;
    } else if (
      star >= 0 &&
      path[retry] !== '/' &&
      !(tokens[star] === '*' && startsHidden(path, retry))
    ) {
      token = star + 1;
      at = ++retry;
    } else {
      return false;
    }
  }
  while (tokens[token] === '*' || tokens[token] === unknown) token++;
  return token === tokens.length;
}

const unknown = '\uFFFD';

function startsHidden(path: string, at: number): boolean {
  return path[at] === '.' && (at === 0 || path[at - 1] === '/');
}

function fits(token: string, letter: string, hidden: boolean): boolean {
  if (token === '?') return letter !== '/' && !hidden;
  return token.toLowerCase() === letter.toLowerCase();
}

function tokensOf(pattern: string): string[] {
  const tokens: string[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const letter = pattern[i]!;
    const end = letter === '[' ? pattern.indexOf(']', i + 2) : -1;
    if (end > 0) {
      tokens.push('?');
      i = end;
    } else {
      tokens.push(letter);
    }
  }
  return tokens;
}
