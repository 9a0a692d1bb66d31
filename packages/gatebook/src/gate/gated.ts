import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gatedVariable } from '../secret-variables.js';
import { processFacts } from './process-facts.js';

export interface GatedOptions {
  /** The processes that are gates. */
  readonly gates: readonly number[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where processes are looked up: `/proc`. */
  readonly proc?: string | undefined;
  /** Whose ancestors are meant: this process's. */
  readonly pid?: number | undefined;
}

export interface Gated {
  /** Why this process must not answer for the operator; undefined where it may. */
  readonly because?: string | undefined;
  /** That is only because it could not be found out. */
  readonly unsure?: boolean | undefined;
  /** What could not be checked. */
  readonly unchecked?: string | undefined;
}

/** More than any chain of processes has. */
const ancestorsMax = 1_000;

/**
 * Whether this process was started, however far back, by what runs behind a gate: an ancestor is a gate, or its environment or an
 * ancestor's has the mark. One that left its ancestors (its parents ended) and cleaned its environment is not known.
 */
export function gated({ gates, env, proc = '/proc', pid = process.pid }: GatedOptions): Gated {
  const mark = env[gatedVariable] ?? '';
  if (mark !== '') {
    return { because: `this process was started through a gate (${gatedVariable} is set)` };
  }
  if (processFacts(pid, proc) === undefined) {
    return { unchecked: `${proc} is not there, so whether a gate started this cannot be checked` };
  }
  const known = new Set(gates);
  let at = pid;
  for (let steps = 0; steps < ancestorsMax && at > 1; steps++) {
    if (at !== pid && known.has(at)) return { because: `process ${at}, a gate, has started this` };
    if (isMarked(proc, at)) {
      return { because: `process ${at}, which a gate has started, has started this` };
    }
    const parent = processFacts(at, proc)?.parent;
    if (parent === undefined) {
      return {
        unsure: true,
        because: `process ${at}, which has started this, cannot be read in ${proc}, so whether a gate has started it is not known`,
      };
    }
    at = parent;
  }
  return {};
}

/** The environment with which it was started, where this user may read it. */
function isMarked(proc: string, pid: number): boolean {
  try {
    const environment = readFileSync(join(proc, String(pid), 'environ'), 'latin1');
    return `\0${environment}`.includes(`\0${gatedVariable}=`);
  } catch {
    return false;
  }
}
