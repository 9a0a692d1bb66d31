import type { Decision } from '@gatebook/policy';

/** What is the matter with a tool that is not what it was when it was seen first. */
export interface ToolPin {
  readonly does: 'ask' | 'block';
  readonly rule: 'pin.changed' | 'pin.bound' | 'pin.unread';
  /** For a person. */
  readonly reason: string;
  /** Hex SHA-256 of what it is now: an approval is of this and of nothing that it becomes later. */
  readonly hash: string;
  /** A person has approved a call to it as it is now. */
  accept(): Promise<void>;
}

export interface PinnedDecision extends Decision {
  /** What an approval is bound to besides the rule; `asks` has the two together. */
  readonly binds?: string | undefined;
}

/** The policy's decision, with what is the matter with the tool. What the policy denies stays denied. */
export function withPin(
  pin: ToolPin | undefined,
  decision: Decision | undefined,
): PinnedDecision | undefined {
  if (pin === undefined || decision?.decision === 'deny') return decision;
  return {
    decision: pin.does === 'block' ? 'deny' : 'ask',
    risk: decision?.risk ?? 'medium',
    rule: pin.rule,
    reasons: [pin.reason, ...(decision?.reasons ?? [])],
    asks: [`${pin.rule} ${pin.hash}`, ...(decision?.asks ?? [])],
    binds: pin.hash,
  };
}
