import fc from 'fast-check';
import { Change, Die, Restart, Stall, StepWall } from './changes.js';
import {
  Block,
  Counters,
  GiveBack,
  longestMs,
  Pass,
  Peek,
  Reserve,
  Reset,
  Settle,
  Spaced,
  type Step,
  Take,
  TakeWhenTold,
} from './commands.js';
import type { LocalSubject, StoredSubject, Subject } from './subject.js';
import { Abort, Served, Wait } from './waits.js';
import { aroundLapses, crowdedRequests, evenMs, planOf, requests } from './world.js';

const take = requests.map((request) => new Take(request));
const which = fc.nat(30);
const cost = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(0.25, 2.5));
const hourMs = 3_600_000;

/** What every limiter can do, with as much time between as `passing` says; nobody waits longer than `mostMs` for what he is told. */
export function stepsOf(passing: fc.Arbitrary<number>, mostMs = longestMs): fc.Arbitrary<Step>[] {
  return [
    take,
    take,
    take,
    requests.map((request) => new Peek(request)),
    fc
      .tuple(requests, fc.boolean())
      .map(([request, early]) => new TakeWhenTold(request, early, mostMs)),
    fc.tuple(requests, cost).map(([request, estimate]) => new Reserve(request, estimate)),
    fc.tuple(which, cost).map(([one, actual]) => new Settle(one, actual)),
    fc
      .tuple(fc.constantFrom('release' as const, 'refund' as const), which)
      .map(([what, one]) => new GiveBack(what, one)),
    passing.map((ms) => new Pass(ms)),
    passing.map((ms) => new Pass(ms)),
    fc
      .tuple(which, requests, fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.constant(50_000_000)))
      .map(([one, request, ms]) => new Block(one, request, ms)),
    fc.tuple(which, requests).map(([one, request]) => new Reset(one, request)),
    fc.constant(new Counters()),
  ];
}

/** The same where nobody can do two things in one ms, so that it is known what came first. */
export function spaced<S extends Subject>(steps: fc.Arbitrary<Step<S>>[]): fc.Arbitrary<Step<S>>[] {
  return steps.map((each) => each.map((step) => new Spaced(step)));
}

/** Limits that change while they are in use. */
export const change: fc.Arbitrary<Step> = fc
  .tuple(fc.constantFrom('inherit', 'inherit', 'renew', 'remove'), which, planOf(evenMs))
  .map(([what, one, next]) => new Change(what, one, next));

/** What is done where all are in each other's way. */
export const crowdedSteps: fc.Arbitrary<Step>[] = [
  crowdedRequests.map((request) => new Served(new Take(request))),
  crowdedRequests.map((request) => new Wait(request, undefined)),
  which.map((one) => new Served(new GiveBack('refund', one))),
  which.map((one) => new Abort(one)),
  fc.nat(1_500).map((ms) => new Served(new Pass(ms))),
];

/** The same over a store. */
export const crowdedStoreSteps: fc.Arbitrary<Step>[] = [
  ...crowdedSteps,
  crowdedRequests.map((request) => new Served(new Peek(request))),
  which.map((one) => new Served(new GiveBack('release', one))),
];

/** Of a line in which everybody can be told at once when it is ready. */
export const bookedSteps: fc.Arbitrary<Step>[] = [
  ...crowdedStoreSteps,
  fc
    .tuple(crowdedRequests, fc.nat(3_000))
    .map(([request, timeoutMs]) => new Wait(request, timeoutMs)),
];

/** Who waits, for a while or for as long as it takes, and gives up. */
export function waitingOf(passing: fc.Arbitrary<number>): fc.Arbitrary<Step>[] {
  const timeoutMs = fc.option(passing, { nil: undefined });
  const wait = fc.tuple(requests, timeoutMs).map(([request, ms]) => new Wait(request, ms));
  return [wait, wait, wait, which.map((one) => new Abort(one))];
}

/** What only a limiter can do that has all in its process. */
export const localSteps: fc.Arbitrary<Step<LocalSubject>>[] = [
  fc
    .oneof(fc.integer({ min: -hourMs, max: hourMs }), fc.integer({ min: 0, max: 20 }))
    .map((ms) => new Restart(ms)),
  fc.integer({ min: -hourMs, max: hourMs }).map((ms) => new StepWall(ms)),
];

/** What happens to the process of a limiter whose state is elsewhere. */
export const storedSteps: fc.Arbitrary<Step<StoredSubject>>[] = [
  fc.constant(new Die()),
  aroundLapses.map((ms) => new Stall(ms)),
];
