/**
 * Whether a shell pattern can stand for a path: `*` for any letters but `/`, `?` and a bracket for one. A bracket
 * is taken for any letter, so that more matches than the shell would find, never less.
 */
export function matchesPattern(pattern: string, path: string): boolean {
  const tokens = tokensOf(pattern);
  let token = 0;
  let at = 0;
  let star = -1;
  let retry = 0;
  while (at < path.length) {
    const now = tokens[token];
    if (now === '*') {
      star = token++;
      retry = at;
    } else if (now !== undefined && fits(now, path[at]!)) {
      token++;
      at++;
    } else if (star >= 0 && path[retry] !== '/') {
      token = star + 1;
      at = ++retry;
    } else {
      return false;
    }
  }
  while (tokens[token] === '*') token++;
  return token === tokens.length;
}

function fits(token: string, letter: string): boolean {
  if (token === '?') return letter !== '/';
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
      tokens.push(letter === '\uFFFD' ? '*' : letter);
    }
  }
  return tokens;
}
