import type { Risk } from '../../risk.js';

/** A row of the table: which uses of which programs are worth which risk. Rows only raise, they never lower. */
export interface ShellRule {
  id: string;
  risk: Risk;
  /** A sentence for a person. */
  reason: string;
  uses: readonly Use[];
}

/** All that is given must fit. */
export interface Use {
  /** Names separated by blanks; `*` for all. */
  programs: string;
  /** Subcommands, alternatives separated by `|`; options before and between their words are passed over. */
  sub?: string;
  /** Any of these options; a long one is also found when it is cut short, a letter also in a cluster. */
  options?: string;
  /** Against the words before the subcommand, joined by a blank. */
  head?: RegExp;
  /** Against the words after the program's name and subcommand, joined by a blank. */
  line?: RegExp;
  /** Not when this fits those words. */
  unless?: RegExp;
}
