import { type Risk, riskLevel } from './risk.js';

/** One thing that was seen in a call, and what it is worth. */
export interface Finding {
  /** The id of the rule, such as `delete-broad`. */
  rule: string;
  risk: Risk;
  /** A sentence for a person. */
  reason: string;
  /** What it was seen in: a simple command, a redirection, a path. */
  subject: string;
}

/** The first finding of the highest risk. */
export function worstFinding(findings: readonly Finding[]): Finding | undefined {
  let worst: Finding | undefined;
  for (const finding of findings) {
    if (worst === undefined || riskLevel(finding.risk) > riskLevel(worst.risk)) worst = finding;
  }
  return worst;
}
