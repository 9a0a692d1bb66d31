import type { Measures } from './answer.js';
import type { Verified } from './child-tasks.js';
import type { Plan } from './plan.js';
import type { Contender } from './rounds.js';
import { runTask } from './run-child.js';
import type { Workspace } from './workspace.js';

/** Verifies the big log in a fresh process. Throws when the verdict is not `ok`: the speed of another one says nothing. */
export function verifyContender(
  name: string,
  auditor: boolean,
  plan: Plan,
  workspace: Workspace,
  measuresOf: (verified: Verified) => Measures,
): Contender {
  return {
    name,
    async measure() {
      const { dir, keysDir } = await workspace.bigLog();
      const verified = await runTask<Verified>(
        { kind: 'verify', dir, keysDir, auditor, threads: plan.threads },
        workspace.signal,
      );
      const level = auditor ? 'auditor' : 'public';
      if (verified.verdict !== 'ok' || verified.level !== level) {
        throw new Error(`the log should be ok (${level}), verify says ${verified.verdict}`);
      }
      return measuresOf(verified);
    },
  };
}
