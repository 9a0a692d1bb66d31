import { describe, expect, it } from 'vitest';
import { cutToWidth, displayWidth, fitToWidth } from './display-width.js';

describe('displayWidth', () => {
  it('counts wide characters twice and combining ones not at all', () => {
    expect(displayWidth('abc')).toBe(3);
    expect(displayWidth('漢字')).toBe(4);
    expect(displayWidth('한')).toBe(2);
    expect(displayWidth('😀')).toBe(2);
    expect(displayWidth('e\u0301')).toBe(1);
    expect(displayWidth('é–')).toBe(2);
  });
});

describe('cutToWidth', () => {
  it('leaves what fits and marks what was cut', () => {
    expect(cutToWidth('abcdef', 6)).toBe('abcdef');
    expect(cutToWidth('abcdef', 5)).toBe('abcd…');
    expect(cutToWidth('abc', 0)).toBe('');
  });

  it('never cuts a wide character in half', () => {
    expect(cutToWidth('漢字漢', 4)).toBe('漢…');
    expect(cutToWidth('😀😀', 3)).toBe('😀…');
  });

  it('bounds a heap of combining marks', () => {
    expect(cutToWidth(`a${'\u0301'.repeat(10_000)}`, 10).length).toBeLessThan(100);
  });
});

describe('fitToWidth', () => {
  it('fills to exactly the width', () => {
    expect(fitToWidth('ab', 4)).toBe('ab  ');
    expect(fitToWidth('7', 4, 'right')).toBe('   7');
    expect(displayWidth(fitToWidth('漢字漢', 4))).toBe(4);
  });
});
