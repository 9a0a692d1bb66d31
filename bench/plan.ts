/** How much of one kind of appending a round does: it ends at either bound. */
export interface Load {
  /** Events handed in and not yet answered. */
  readonly inFlight: number;
  readonly recordsMax: number;
  readonly msMax: number;
  /** Records that gatebook appends before the clock starts: the thread that writes is a new one in every round. */
  readonly warmUp: number;
}

/** How large a run is. */
export interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  /** Rounds before those that count. */
  readonly warmUps: number;
  readonly loads: readonly Load[];
  /** Records of the log that is verified, opened and proved from. */
  readonly bigRecords: number;
  readonly threads: number;
  /** Random records proved a round, after `proofWarmUps` others. */
  readonly proofs: number;
  readonly proofWarmUps: number;
  /** Acknowledged records, at least and at most, after which a writer under full load is killed. */
  readonly killAfter: readonly [number, number];
  /** … and the time that then passes at most, so that the kill comes at no particular step. */
  readonly killWithinMs: number;
  /** Whether the file system is brought to rest before each measurement. */
  readonly settle: boolean;
  readonly seed: number;
  /** Calls of a contender in a round that are made one after the other; as many before them do not count. */
  readonly gateCalls: number;
  readonly ratelimit: {
    readonly users: number;
    /** Calls in a round. */
    readonly takes: number;
    readonly keySizes: readonly number[];
    /** They wait at once, and as many are served a second. */
    readonly waiters: number;
  };
}

export function fullPlan(seed: number, rounds: number): Plan {
  return {
    quick: false,
    rounds,
    warmUps: 1,
    loads: [
      { inFlight: 1, recordsMax: 3_000, msMax: 3_000, warmUp: 500 },
      { inFlight: 64, recordsMax: 100_000, msMax: 3_000, warmUp: 10_000 },
      { inFlight: 1_000, recordsMax: 200_000, msMax: 3_000, warmUp: 20_000 },
    ],
    bigRecords: 1_000_000,
    threads: 2,
    proofs: 200,
    proofWarmUps: 20,
    killAfter: [15_000, 45_000],
    killWithinMs: 100,
    settle: true,
    seed,
    gateCalls: 2_000,
    ratelimit: {
      users: 100_000,
      takes: 1_000_000,
      keySizes: [500_000, 1_000_000, 1_500_000, 2_000_000],
      waiters: 5_000,
    },
  };
}

/** Small counts: shows that everything runs, and no number of it means anything. */
export function quickPlan(seed: number): Plan {
  return {
    quick: true,
    rounds: 1,
    warmUps: 0,
    loads: [
      { inFlight: 1, recordsMax: 50, msMax: 100, warmUp: 10 },
      { inFlight: 64, recordsMax: 1_000, msMax: 100, warmUp: 64 },
      { inFlight: 1_000, recordsMax: 4_000, msMax: 100, warmUp: 1_000 },
    ],
    bigRecords: 8_000,
    threads: 2,
    proofs: 50,
    proofWarmUps: 5,
    killAfter: [1_000, 2_000],
    killWithinMs: 20,
    settle: false,
    seed,
    gateCalls: 20,
    ratelimit: { users: 500, takes: 2_000, keySizes: [1_000, 2_000], waiters: 500 },
  };
}
