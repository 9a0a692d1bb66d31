/** What is read of a command line; beyond any of these it is rated high, unread. */
export const shellLimits = {
  /** Characters of one script. */
  length: 256 * 1024,
  /** Simple commands, those of nested scripts included. */
  commands: 1000,
  /** Words of one command, and assignments before it. */
  words: 2000,
  /** Characters of code for another interpreter, as for `python -c`. */
  code: 20_000,
  /** Scripts inside scripts: `sh -c` in `sh -c`, `eval`, here-documents. */
  depth: 8,
  /** Commands and words inside one another: subshells, substitutions, loops. */
  nesting: 100,
} as const;
