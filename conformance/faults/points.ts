import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../cli/gatebook.js';
import { placeOf } from '../power-loss/kinds.js';

/**
 * One file call of a run: the `at`-th with this name, from 1, with which its thread touches the log, its keys or what stands
 * around them. strace counts by thread too, so another thread's `at`-th such call fails in the same run.
 */
export interface Point {
  readonly call: string;
  readonly at: number;
  /** The file or folder, with what differs between two runs taken out. */
  readonly place: string;
}

/** Reads `strace -f -y -o` output: the calls below `root` in order, and every path that they named, as it is below it. */
export function readCalls(trace: string, root: string): { points: Point[]; paths: string[] } {
  const counts = new Map<string, number>();
  const points: Point[] = [];
  const paths = new Set<string>();
  for (const line of trace.split('\n')) {
    const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (thread === undefined || call === undefined || call === 'execve') continue;
    const named = pathsIn(line, root);
    if (named.length === 0) continue;
    for (const path of named) paths.add(path.slice(root.length + 1));
    const at = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, at);
    points.push({ call, at, place: placeOf(named.at(-1)!.slice(root.length + 1)) || '.' });
  }
  return { points, paths: [...paths] };
}

/** Paths stand in quotes, and in angle brackets behind a file descriptor. */
function pathsIn(line: string, root: string): string[] {
  const named = [...line.matchAll(/"([^"]*)"|\d<([^>]*)>/g)].map((match) => match[1] ?? match[2]!);
  return named.filter((path) => path === root || path.startsWith(`${root}/`));
}

/** The writer looks after its lock by the clock, so how often it does depends on the machine. */
const timed: ReadonlySet<string> = new Set(['statx log/lock']);

/** How often each call is made on each place, one line each: what the checked-in list says of a scenario. */
export function listOf(points: readonly Point[]): string[] {
  const counts = new Map<string, number>();
  for (const { call, place } of points) {
    const line = `${call} ${place}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts]
    .map(([line, count]) => `${timed.has(line) ? 'some' : count} × ${line}`)
    .sort((a, b) => order(a, b));
}

function order(a: string, b: string): number {
  const key = (line: string): string => line.replace(/^\w+ × /, '');
  return key(a) < key(b) ? -1 : 1;
}

export const listFile = join(repository, 'conformance', 'faults', 'points.md');

/** The checked-in lists by scenario, and the Node they are of: another one asks the kernel in other ways. */
export function readList(): { node: string; lists: Map<string, string[]> } {
  const text = readFileSync(listFile, 'utf8');
  const lists = new Map<string, string[]>();
  for (const part of text.split('\n## ').slice(1)) {
    const [title = '', ...lines] = part.split('\n');
    const name = title.split(':')[0]!;
    lists.set(
      name,
      lines.filter((line) => line.startsWith('- ')).map((line) => line.slice(2)),
    );
  }
  return { node: /Node (\d+)/.exec(text)?.[1] ?? '', lists };
}

export function listText(node: string, found: ReadonlyMap<string, readonly Point[]>): string {
  const all = [...found.values()].reduce((sum, points) => sum + points.length, 0);
  const head = [
    '# Injection points',
    '',
    `The file calls below the log and keys folders, as strace sees them under Node ${node} on Linux: ${all} calls, and at each`,
    'of them EIO, ENOSPC and SIGKILL are injected. `faults.test.ts` holds this list against what it finds;',
    '`GATEBOOK_WRITE_POINTS=1 npx vitest run conformance/dist/faults` writes it anew.',
    '',
  ];
  const parts = [...found].map(([name, points]) =>
    [
      `## ${name}: ${points.length} calls`,
      '',
      ...listOf(points).map((line) => `- ${line}`),
      '',
    ].join('\n'),
  );
  return `${head.join('\n')}\n${parts.join('\n')}`;
}
