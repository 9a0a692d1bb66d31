import { type Attack, exitOf, type Place } from './attack.js';
import type { Answer, Finding } from './verifiers.js';

/** What is wrong with an answer, in one text; empty when nothing is. */
export function judge(attack: Attack, who: Verifier, answer: Answer): string[] {
  const { expected } = attack;
  const wrong: string[] = [];
  const expect = (what: string, wanted: unknown, got: unknown): void => {
    if (wanted !== got) wrong.push(`${what} ${String(got)}, expected ${String(wanted)}`);
  };
  expect('verdict', expected.verdict, answer.verdict);
  expect('exit', exitOf(expected), answer.exit);
  if (expected.pending !== undefined) expect('pending', expected.pending, answer.pending);
  if (wrong.length === 0) {
    // The second verifier need not say where; what it says must be right.
    const places = who === 'gatebook' || typeof answer.finding?.seq === 'number';
    if (expected.at !== undefined && places)
      wrong.push(...judgePlace(expected.at, who, answer.finding));
  }
  if (wrong.length === 0) return [];
  return [`${who}: ${attack.name}: ${wrong.join('; ')}\n    ${clip(answer.text)}`];
}

export type Verifier = 'gatebook' | 'verify.py';

function judgePlace(at: Place, who: Verifier, found: Finding = {}): string[] {
  const wrong: string[] = [];
  const expect = (what: string, wanted: unknown, got: unknown): void => {
    if (wanted !== undefined && wanted !== got)
      wrong.push(`${what} ${String(got)}, expected ${String(wanted)}`);
  };
  expect('segment', at.path, `segments/${found.segment}`);
  expect('seq', at.seq, found.seq);
  expect('offset', at.offset, found.offset);
  if (who === 'gatebook' || found.range !== undefined) {
    expect('range', at.range?.join(), found.range?.join());
  } else expect('seq', at.range?.[0], found.seq);
  // A partial tile may be named by its folder.
  if (who === 'gatebook' && at.file !== undefined && !at.file.startsWith(found.file ?? '-'))
    expect('file', at.file, found.file);
  if (at.around !== undefined && !names(found, at.around)) {
    wrong.push(`names ${JSON.stringify(found)}, expected something around ${at.around}`);
  }
  return wrong;
}

function names({ seq, range }: Finding, wanted: number): boolean {
  if (range !== undefined) return range[0] <= wanted && wanted < range[1];
  return seq === wanted;
}

function clip(text: string): string {
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}
