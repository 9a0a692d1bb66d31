/** How much harm a call can do, from least to most. */
export type Risk = 'low' | 'medium' | 'high' | 'critical';

export const risks: readonly Risk[] = ['low', 'medium', 'high', 'critical'];

/** 0 for low to 3 for critical. */
export function riskLevel(risk: Risk): number {
  return risks.indexOf(risk);
}

export function isAtLeast(risk: Risk, other: Risk): boolean {
  return riskLevel(risk) >= riskLevel(other);
}

export function worse(a: Risk, b: Risk): Risk {
  return riskLevel(a) >= riskLevel(b) ? a : b;
}
