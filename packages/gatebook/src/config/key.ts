import { z } from 'zod';
import type { Weakens } from './weakening.js';

/** What a key's schema alone cannot say. */
export interface KeyFacts {
  /** What it does, for the manual and for editors. */
  readonly help: string;
  /** What is accepted, to stand behind "must be". */
  readonly wanted: string;
  /** In words, what holds where it is not set and the schema has no default. */
  readonly unset?: string;
  /** A path (or a list of them): a relative one begins in its file's folder, `~/` at home. */
  readonly path?: boolean;
  /** What is in the files it names decides too, so that who trusts a file with it trusts those. */
  readonly decides?: boolean;
  /** Which of its values a project file that is not trusted may not set; none of them by default. */
  readonly weakens?: Weakens;
  /** A gate that runs goes by a new value at once; by that of any other key at its next start. */
  readonly live?: boolean;
  /** Its value may hold a secret, and is not shown in records. */
  readonly secret?: boolean;
}

export const keyFacts = new WeakMap<z.core.$ZodType, KeyFacts>();

/** Gives a schema what is to be known of it as a key. */
export function key<S extends z.ZodType>(schema: S, facts: KeyFacts): S {
  const described = schema.describe(facts.help);
  keyFacts.set(described, facts);
  return described;
}

export const yesOrNo = (): z.ZodBoolean => z.boolean();
export const onOff = 'true or false';

export const text = (): z.ZodString => z.string().min(1);

/** A span of time as `30s`; units as everywhere on the command line. */
export const span = (): z.ZodString => z.string().regex(/^[1-9]\d{0,5}(ms|s|m|h|d)$/);
export const spanWanted = 'a span of time such as "500ms", "30s", "10m", "2h" or "1d"';
