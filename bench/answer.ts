/** One measured round of one contender: a number for each column, whose name carries its unit. */
export type Measures = Readonly<Record<string, number>>;

/** What every contender showed in one round. */
export type Round = ReadonlyMap<string, Measures>;

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** One value a round, in order. */
  readonly rounds: readonly number[];
}

export interface Row {
  readonly name: string;
  readonly cells: Readonly<Record<string, Spread>>;
}

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** What was hoped for, beside what was measured. Nothing is asserted: a busy machine is not a defect. */
export interface Target {
  readonly text: string;
  readonly sense: 'at least' | 'at most';
  readonly bound: number;
  readonly value: number;
  readonly unit: string;
  readonly met: boolean;
  /** What limits it, told where it is missed. */
  readonly limit: string;
}

/** What a question's file gives back. */
export interface Answer {
  readonly question: string;
  readonly title: string;
  /** How it was measured, a sentence each. */
  readonly method: readonly string[];
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
}

/** Linear interpolation between the closest ranks; `share` from 0 to 1. Throws when there are no values. */
export function quantile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new Error('there is nothing to rank');
  return below + (above - below) * (place - Math.floor(place));
}

export function spreadOf(rounds: readonly number[]): Spread {
  return {
    median: quantile(rounds, 0.5),
    min: quantile(rounds, 0),
    max: quantile(rounds, 1),
    rounds,
  };
}

/** The value of one cell in one round. Throws when it was not measured. */
export function measured(round: Round, contender: string, column: string): number {
  const value = round.get(contender)?.[column];
  if (value === undefined) throw new Error(`${contender} has no ${column}`);
  return value;
}

export function cellOf(rounds: readonly Round[], contender: string, column: string): Spread {
  return spreadOf(rounds.map((round) => measured(round, contender, column)));
}

/** A row for each contender, a column for each thing that it measured. */
export function tableOf(title: string, rounds: readonly Round[]): Table {
  const rows = [...(rounds[0] ?? new Map<string, Measures>())].map(([name, measures]): Row => {
    const columns = Object.keys(measures).map(
      (column) => [column, cellOf(rounds, name, column)] as const,
    );
    return { name, cells: Object.fromEntries(columns) };
  });
  return { title, rows };
}

/**
 * `own` divided by `peer`, taken within each round, so that what slows the whole machine for a while slows both sides of
 * the division.
 */
export function ratioOf(
  rounds: readonly Round[],
  own: string,
  peer: string,
  column: string,
): Spread {
  return spreadOf(
    rounds.map((round) => measured(round, own, column) / measured(round, peer, column)),
  );
}

/** The ratios of `own` to each peer that measured the same columns. */
export function ratioTable(
  title: string,
  rounds: readonly Round[],
  own: string,
  peers: readonly string[],
  columns: readonly string[],
): Table {
  const rows = peers.map((peer): Row => {
    const shared = columns.filter((column) =>
      [own, peer].every((name) => rounds[0]?.get(name)?.[column] !== undefined),
    );
    const cells = shared.map((column) => [column, ratioOf(rounds, own, peer, column)] as const);
    return { name: `${own} ÷ ${peer}`, cells: Object.fromEntries(cells) };
  });
  return { title, rows };
}

export function atLeast(
  text: string,
  value: number,
  bound: number,
  unit: string,
  limit: string,
): Target {
  return { text, sense: 'at least', bound, value, unit, met: value >= bound, limit };
}

export function atMost(
  text: string,
  value: number,
  bound: number,
  unit: string,
  limit: string,
): Target {
  return { text, sense: 'at most', bound, value, unit, met: value <= bound, limit };
}
