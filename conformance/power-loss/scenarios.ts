import { dirname } from 'node:path';
import { type Scenario, stateAfter } from './cases.js';
import { places } from './judge.js';
import { placeOf } from './kinds.js';
import { record, recordArchiving } from './recording.js';
import type { Call } from './trace.js';
import type { Tree } from './tree.js';

/** Runs of the writer, each recorded once; what happened is the same each time, but for times and keys. */

const small = ['--segment-bytes', '4096', '--epoch-ms', '60', '--checkpoint-ms', '20'];
const few = ['--records', '2', '--in-flight', '1'];

function scenario(
  name: string,
  base: Tree,
  said: readonly string[],
  args: readonly string[],
  inject?: string,
): Scenario {
  return { name, base, said, programs: [record(base, args, inject)] };
}

/** The folders as the scenario leaves them, and everything it said. */
function endOf(one: Scenario): { tree: Tree; said: readonly string[] } {
  const { state, said } = stateAfter(one, Number.POSITIVE_INFINITY, 'kept');
  return { tree: state.tree, said };
}

/** What a group leaves of which the first block was lost and the others not: zeros, the end of a line, more lines. */
const holed = `${'\0'.repeat(100)}${`${'.'.repeat(400)}"}\n`.repeat(5)}{"seq":`;

/** Adds bytes to the newest segment: what a write leaves that was not synced. */
function withTorn(tree: Tree, bytes: string): Tree {
  const segment = [...tree.keys()]
    .filter((path) => path.startsWith(`${places.log}/segments/`) && path.endsWith('.jsonl'))
    .sort()
    .at(-1)!;
  return new Map([...tree, [segment, Buffer.concat([tree.get(segment)!, Buffer.from(bytes)])]]);
}

export interface Scenarios {
  readonly setUp: Scenario;
  readonly load: Scenario;
  readonly recovery: Scenario;
  readonly secondRecovery: Scenario;
  readonly failedSync: Scenario;
  readonly tiles: Scenario;
  readonly pruning: Scenario;
  readonly keyChange: Scenario;
  readonly erasure: Scenario;
  readonly archive: Scenario;
}

export function recordScenarios(): Scenarios {
  // The keys folder's parent is there already, so that only one folder is made in the root.
  const setUp = scenario(
    'set-up, three records, close',
    new Map([[dirname(places.keys), null]]),
    [],
    ['--records', '3', '--in-flight', '1'],
  );
  const first = endOf(setUp);
  const load = scenario(
    'open after a close, groups, seals, epochs, close',
    first.tree,
    first.said,
    [...['--records', '40', '--first', '100', '--in-flight', '4', '--pause-ms', '5'], ...small],
  );
  const killed = stateAfter(load, placeOfAcknowledgement(load.programs[0]!, 15), 'kept');
  const tornTree = withTorn(killed.state.tree, holed);
  const recovery = scenario('recovery of a torn end', tornTree, killed.said, [
    ...few,
    '--first',
    '900',
  ]);
  // An earlier recovery set bytes aside and cut them off, and lost power before it could record that.
  const cutOff =
    1 + recovery.programs[0]!.findIndex((call) => call.kind === 'truncate' && call.size > 0);
  const again = stateAfter(recovery, cutOff + 1, 'kept');
  const secondRecovery = scenario(
    'recovery with a torn end of an earlier recovery',
    withTorn(again.state.tree, '{"seq":999,"timest'),
    again.said,
    [...few, '--first', '900'],
  );
  const failedSync = scenario(
    'a sync fails and the writer goes on in a new segment',
    first.tree,
    first.said,
    ['--records', '12', '--first', '700', '--in-flight', '2', '--pause-ms', '2'],
    'fdatasync:error=EIO:when=4',
  );
  const full = endOf(scenario('', first.tree, first.said, ['--records', '247', '--first', '500']));
  const tiles = scenario('a tile fills', full.tree, full.said, [
    ...['--records', '12', '--first', '800', '--in-flight', '2', '--checkpoint-records', '3'],
  ]);
  const loaded = endOf(load);
  const archive = {
    name: 'sealed segments are archived',
    base: loaded.tree,
    said: loaded.said,
    programs: [recordArchiving(loaded.tree)],
  };
  const others = { pruning: pruningOf(first), keyChange: keyChangeOf(first), erasure: erasureOf() };
  return { setUp, load, recovery, secondRecovery, failedSync, tiles, archive, ...others };
}

interface Left {
  readonly tree: Tree;
  readonly said: readonly string[];
}

/** Only records whose hashes fill a tile may be deleted, so that there must be many. */
function pruningOf(first: Left): Scenario {
  const small = ['--segment-bytes', '32768'];
  const many = ['--records', '240', '--first', '1000', ...small];
  const large = endOf(scenario('', first.tree, first.said, many));
  // The tile fills here, and is all that is left of the hashes of what is deleted.
  const args = ['--records', '60', '--first', '2000', '--prune-to', '195', ...small];
  return scenario('the oldest segments are deleted', large.tree, large.said, args);
}

function keyChangeOf(first: Left): Scenario {
  const args = [...few, '--first', '600', '--rotate-key'];
  const ends = [`${places.keys}/signing-key.pem`];
  return { ...scenario('the signing key changes', first.tree, first.said, args), ends };
}

function erasureOf(): Scenario {
  const base: Tree = new Map([[dirname(places.keys), null]]);
  const known = endOf(scenario('', base, [], [...few, '--user', 'maria']));
  const ends = [...known.tree.keys()].filter((path) => /subjects\/[0-9a-f]+\.key$/.test(path));
  const args = [...few, '--first', '50', '--user', 'otto', '--erase', 'maria'];
  return { ...scenario('a user is erased', known.tree, known.said, args), ends };
}

function placeOfAcknowledgement(calls: readonly Call[], count: number): number {
  let seen = 0;
  const at = calls.findIndex((call) => call.kind === 'said' && ++seen > count);
  if (at < 0) throw new Error(`fewer than ${count} acknowledgements`);
  return at + 1;
}

/** A crash during one run, and then the opening that follows it. */
export interface Crash {
  readonly of: Scenario;
  /** So many calls had returned. */
  readonly calls: number;
  readonly way: 'killed' | 'lost power';
  readonly step: string;
}

/** One crash behind every kind of step of a run. Killed: nothing is lost, but unsynced; power lost: all unsynced is gone. */
export function crashesOf(of: Scenario): Crash[] {
  const seen = new Set<string>();
  const crashes: Crash[] = [];
  for (const [at, step] of stepsOf(of.programs.at(-1)!).entries()) {
    if (step === undefined || seen.has(step)) continue;
    seen.add(step);
    crashes.push({ of, calls: at + 1, way: 'killed', step });
    crashes.push({ of, calls: at + 1, way: 'lost power', step });
  }
  return crashes;
}

/** What each call did to which kind of file, with the change before it: the same write in a seal is another step. */
function stepsOf(calls: readonly Call[]): (string | undefined)[] {
  const paths = new Map<number, string>();
  let before = '';
  let ends = '';
  return calls.map((call) => {
    if (call.kind === 'open') paths.set(call.fd, placeOf(call.path));
    if (call.kind === 'said' || call.kind === 'close' || (call.kind === 'open' && !call.create))
      return undefined;
    const path = 'fd' in call ? paths.get(call.fd) : placeOf('path' in call ? call.path : call.to);
    if (path?.startsWith('log/tile') === true) return undefined;
    if (call.kind === 'write' && path?.startsWith('log/segments') === true)
      ends =
        /"event_type":"log\.(sealed|epoch|closed|recovered)"/.exec(
          call.bytes.toString('latin1'),
        )?.[1] ?? '';
    const step = `${call.kind} ${path} ${ends}`;
    const whole = `${step} after ${before}`;
    before = step;
    return whole;
  });
}

/** The opening after a crash, as a scenario of its own. */
export function openingAfter(crash: Crash): Scenario {
  const { of, calls, way, step } = crash;
  const name = `${way} after ${step} in "${of.name}", then opened`;
  const at = stateAfter(of, calls, way === 'killed' ? 'kept' : 'dropped');
  const opening = record(at.state.tree, [...few, '--first', '980']);
  if (way === 'lost power')
    return { name, base: at.state.tree, said: at.said, programs: [opening] };
  const earlier = of.programs.slice(0, -1);
  const killed = of.programs.at(-1)!.slice(0, calls);
  return { name, base: of.base, said: of.said, programs: [...earlier, killed, opening] };
}
