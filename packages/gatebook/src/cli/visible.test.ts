import { describe, expect, it } from 'vitest';
import { visible } from './visible.js';

describe('visible', () => {
  it('leaves what a terminal just shows', () => {
    expect(visible('C:\\x "a" – é 漢字 😀')).toBe('C:\\x "a" – é 漢字 😀');
  });

  it('shows escapes, newlines and the rest of the control characters', () => {
    expect(visible('a\x1b[2Jb\r\n\tc\x00\x7f')).toBe('a\\x1b[2Jb\\r\\n\\tc\\x00\\x7f');
    expect(visible('\x9b31m')).toBe('\\x9b31m');
  });

  it('leaves nothing a terminal acts on, whatever the code point', () => {
    for (let code = 0; code <= 0x10ffff; code++) {
      const shown = visible(String.fromCodePoint(code));
      if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(shown)) {
        expect.fail(`U+${code.toString(16)} comes out as ${JSON.stringify(shown)}`);
      }
    }
  });

  it('shows overrides and isolates of the writing direction', () => {
    for (const code of [0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069]) {
      expect(visible(`a${String.fromCodePoint(code)}b`)).toBe(`a\\u{${code.toString(16)}}b`);
    }
  });

  it('shows zero-width and filler characters, tags and lone surrogates', () => {
    expect(visible('\u200b\u3164\u{e0041}\ud800')).toBe('\\u{200b}\\u{3164}\\u{e0041}\\u{d800}');
  });
});
