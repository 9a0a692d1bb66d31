import type { Erased } from './erasure.js';
import type { Removed } from './pruned-ranges.js';
import { isPolicy, type Policy, type RetentionOptions } from './retention.js';
import type { KeyRotationOptions } from './signing-keys.js';

/** What a log's writer may be asked besides recording. Each question is answered once, behind everything appended before it. */
export type Question =
  | { readonly ask: 'checkpoint' }
  | { readonly ask: 'rotate' }
  | ({ readonly ask: 'prune' } & PruneTask)
  | ({ readonly ask: 'erase' } & EraseTask)
  | { readonly ask: 'keys'; readonly request: KeyRequest };

/** What the answers are. */
export interface Answers {
  /** The signed note. */
  readonly checkpoint: string;
  /** The first seq of the segment that was sealed; undefined when there was none to seal. */
  readonly rotate: number | undefined;
  readonly prune: readonly Removed[];
  readonly erase: Erased;
  /** The public key that signs from now on. */
  readonly keys: string;
}

export type Answer = Answers[Question['ask']];

/** Whether deletion is only tried, and whether the clock is right although it was seen to jump. */
export interface PruneTask {
  readonly dryRun: boolean;
  readonly confirmClock: boolean;
  /** With `dryRun`: what would go if this were in force, as the book would have it. */
  readonly policy?: Policy | undefined;
}

/** What `AuditLog.prune` may be asked; everything off by default. */
export interface PruneOptions {
  readonly dryRun?: boolean | undefined;
  readonly confirmClock?: boolean | undefined;
  readonly retention?: RetentionOptions | 'never' | undefined;
}

/** Whom to erase: a user id or a username. */
export interface EraseTask {
  readonly user: string;
  /** Although a legal hold may cover his records. */
  readonly despiteHold: boolean;
}

export type KeyRequest =
  | {
      readonly action: 'rotate';
      readonly options: KeyRotationOptions;
      /** Names of those that the log is opened with. */
      readonly witnesses: readonly string[];
    }
  | { readonly action: 'retire' };

/** Reads a question that came from another process; undefined where it is none that another process may ask. */
export function parseQuestion(value: object): Question | undefined {
  const { ask, ...said } = value as Readonly<Record<string, unknown>>;
  if (ask === 'checkpoint' || ask === 'rotate') return { ask };
  if (ask === 'prune') {
    const { dryRun, confirmClock, policy } = said;
    if (typeof dryRun !== 'boolean' || typeof confirmClock !== 'boolean') return undefined;
    if (policy === undefined) return { ask, dryRun, confirmClock };
    if (!dryRun || !isPolicy(policy)) return undefined;
    return { ask, dryRun, confirmClock, policy };
  }
  if (ask === 'erase') {
    const { user, despiteHold } = said;
    if (typeof user !== 'string' || typeof despiteHold !== 'boolean') return undefined;
    return { ask, user, despiteHold };
  }
  return undefined;
}
