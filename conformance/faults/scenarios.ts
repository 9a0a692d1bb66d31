import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tracedEnvironment, writeLoad } from '../crash/programs.js';
import { places } from '../power-loss/judge.js';
import { readTree, type Tree, writeTree } from '../power-loss/tree.js';

/** One thing a log does, on folders that are the same each time. */
export interface Scenario {
  readonly name: string;
  readonly base: Tree;
  /** What was promised before. */
  readonly said: readonly string[];
  /** The command, for a log below `root`. */
  command(root: string): string[];
}

/** Nothing becomes due by itself: what a run does then depends on nothing but the folders. */
const still = ['--checkpoint-ms', '86400000', '--in-flight', '1'];

export function loadIn(root: string, args: readonly string[]): string[] {
  const { log, keys } = foldersIn(root);
  return [process.execPath, writeLoad, '--log', log, '--keys', keys, ...still, ...args];
}

export function foldersIn(root: string): { root: string; log: string; keys: string } {
  return { root, log: join(root, places.log), keys: join(root, places.keys) };
}

/** What a run leaves of `base`, and what it said. With `killedAt` it is killed when it asks for its so-many-th sync. */
function after(base: Tree, args: readonly string[], killedAt?: number): Left {
  const folder = mkdtempSync(join(tmpdir(), 'gatebook-faults-'));
  const root = join(folder, 'root');
  const kill = `inject=fdatasync:signal=SIGKILL:when=${killedAt}`;
  const strace = ['strace', '-f', '-qq', '-e', 'trace=fdatasync', '-e', kill, '-o', '/dev/null'];
  try {
    writeTree(root, base);
    const [program = '', ...rest] = [
      ...(killedAt === undefined ? [] : strace),
      ...loadIn(root, args),
    ];
    const ran = spawnSync(program, rest, { encoding: 'utf8', env: tracedEnvironment });
    if (ran.status !== (killedAt === undefined ? 0 : null))
      throw new Error(`exit ${ran.status}: ${ran.stdout}${ran.stderr}`);
    const tree = readTree(root);
    // A link for people, which a tree cannot hold.
    tree.delete(`${places.log}/current`);
    return { tree, said: [...ran.stdout.split('\n').slice(0, -1)] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Left {
  readonly tree: Tree;
  readonly said: readonly string[];
}

/** Half a line behind the newest segment: what a killed writer may leave. */
function withTorn({ tree, said }: Left): Left {
  const path = [...tree.keys()]
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .at(-1)!;
  const torn = Buffer.concat([tree.get(path)!, Buffer.from('{"seq":99,"timest')]);
  return { tree: new Map([...tree, [path, torn]]), said };
}

/** The folders that are there before a log is: its own and those that hold them are made by it. */
const nothing: Tree = new Map([[places.keys.split('/')[0]!, null]]);

/** In the middle between two ends of segments, whose lines are longer in one run than in another. */
const pruning = ['--records', '1', '--first', '500', '--prune-to', '195'];

export function makeScenarios(): Scenario[] {
  const once = after(nothing, ['--records', '2', '--first', '100']);
  // Longer than a segment may be in the scenario that goes on in it.
  const long = after(once.tree, ['--records', '16', '--first', '200']);
  const said = [...once.said, ...long.said];
  const left = after(long.tree, ['--records', '9', '--first', '300'], 6);
  const killed = withTorn({ tree: left.tree, said: [...said, ...left.said] });
  const one = ['--records', '1', '--first', '500'];
  // Only records whose hashes fill a tile may be deleted.
  const many = ['--records', '300', '--first', '1000', '--segment-bytes', '32768'];
  const large = after(once.tree, many);
  return [
    load('set-up', { tree: nothing, said: [] }, ['--records', '0']),
    load('append', once, one),
    load('rotation', { tree: long.tree, said }, [...one, '--segment-bytes', '4096']),
    load('recovery', killed, one),
    load('prune', { tree: large.tree, said: [...once.said, ...large.said] }, pruning),
  ];
}

function load(name: string, { tree, said }: Left, args: readonly string[]): Scenario {
  return { name, base: tree, said, command: (root) => loadIn(root, args) };
}
