import type { Measures, Round } from './answer.js';
import type { Plan } from './plan.js';

/** Somebody who is measured: gatebook, or a named peer. */
export interface Contender {
  readonly name: string;
  measure(): Promise<Measures>;
}

/**
 * Measures the contenders in turn, A B C A B C …, so that a slow minute of the machine meets all of them. The warm-up
 * rounds are measured like the others and thrown away.
 */
export async function runRounds(
  plan: Plan,
  contenders: readonly Contender[],
  settle: () => Promise<void>,
): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let at = 0; at < plan.warmUps + plan.rounds; at++) {
    const round = new Map<string, Measures>();
    for (const contender of contenders) {
      await settle();
      round.set(contender.name, await contender.measure());
    }
    if (at >= plan.warmUps) rounds.push(round);
  }
  return rounds;
}
