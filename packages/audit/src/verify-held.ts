import { checkNote } from './checkpoint.js';
import { identify } from './identity.js';
import type { Case } from './verify-case.js';

/**
 * Leaves out what counts only if the log signed it, and did not, and says so. Who a log's keys are is known once it was read,
 * and a witness may have seen it last under another key than the verifier's.
 */
export function withoutForeign(facts: Case): Case {
  const sure = facts.held.filter(({ ifSigned }) => ifSigned !== true);
  if (sure.length === facts.held.length) return facts;
  const keys = [...facts.keys, ...identify({ ...facts, held: sure }).known];
  const signed = new Set(
    facts.held.filter(({ note }) => note !== undefined && checkNote(note, keys) === 'signed'),
  );
  const held = facts.held.filter((entry) => entry.ifSigned !== true || signed.has(entry));
  const foreign = facts.held.filter((entry) => !held.includes(entry));
  if (foreign.length === 0) return facts;
  const problems = foreign.map(
    ({ name }) => `${name} could not be asked: its checkpoint is not signed by the log`,
  );
  const demand = facts.demand ?? { problems: [], nowMs: Date.now() };
  return { ...facts, held, demand: { ...demand, problems: [...demand.problems, ...problems] } };
}
