/**
 * Whether a pattern stands for a whole text: `*` is any letters, `?` one, `\` takes the next letter as it is. In
 * paths `*` stops at a slash and `**` does not. Time grows with the product of the two lengths at worst.
 */
export function matchesGlob(pattern: string, text: string, inPath = false): boolean {
  return compileGlob(pattern, inPath)(text);
}

/** The same, for a pattern that is tried often. */
export function compileGlob(pattern: string, inPath = false): (text: string) => boolean {
  const tokens = tokensOf(pattern, inPath);
  return (text) => fits(tokens, text, inPath);
}

function fits(tokens: readonly Token[], text: string, inPath: boolean): boolean {
  let token = 0;
  let at = 0;
  let star = -1;
  let retry = 0;
  let wide = -1;
  let wideRetry = 0;
  while (at < text.length) {
    const now = tokens[token];
    const letter = text[at]!;
    if (now === many || now === all) {
      star = token;
      retry = at;
      if (now === all) {
        wide = token;
        wideRetry = at;
      }
      token++;
    } else if (
      now !== undefined &&
      (now === letter || (now === one && !(inPath && letter === '/')))
    ) {
      token++;
      at++;
    } else if (star >= 0 && (tokens[star] === all || text[retry] !== '/')) {
      token = star + 1;
      at = ++retry;
      if (star === wide) wideRetry = retry;
    } else if (wide >= 0) {
      star = wide;
      token = wide + 1;
      at = ++wideRetry;
      retry = wideRetry;
    } else {
      return false;
    }
  }
  while (tokens[token] === many || tokens[token] === all) token++;
  return token === tokens.length;
}

const many = Symbol('*');
const all = Symbol('**');
const one = Symbol('?');
type Token = string | symbol;

function tokensOf(pattern: string, inPath: boolean): Token[] {
  const tokens: Token[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const letter = pattern[i]!;
    if (letter === '\\' && i + 1 < pattern.length) tokens.push(pattern[++i]!);
    else if (letter === '?') tokens.push(one);
    else if (letter !== '*') tokens.push(letter);
    else {
      const wide = pattern[i + 1] === '*';
      while (pattern[i + 1] === '*') i++;
      tokens.push(!inPath || wide ? all : many);
    }
  }
  return tokens;
}
