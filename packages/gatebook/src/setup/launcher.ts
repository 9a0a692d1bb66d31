import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CliError } from '../cli/failure.js';

/** The file that starts this very gatebook, behind all links. */
export function ownProgram(): string {
  return realpathSync(fileURLToPath(new URL('../../bin/gatebook.js', import.meta.url)));
}

/**
 * How a client is to start the gate. Both paths are absolute and nothing is looked up: a client that was started from a desktop has
 * a PATH without version managers and global npm packages, and neither `gatebook` nor `npx` nor `node` would be found there. `options` are
 * those of `gatebook mcp`.
 */
export function ownLauncher(options: readonly string[]): string[] {
  const program = ownProgram();
  if (/[\\/]_npx[\\/]/.test(program)) {
    throw new CliError(
      1,
      `${program} lies in npx’s cache, which npm clears: a client would be left without its servers; install gatebook (npm install --global gatebook) and run that one`,
    );
  }
  return [process.execPath, program, 'mcp', ...options, '--'];
}

/** A command line with a gatebook in front. */
export interface Wired {
  /** The words up to its `--`, that included; all of them where there is none. */
  readonly front: readonly string[];
  /** The server's own; empty where nobody can say where they begin. */
  readonly server: readonly string[];
  /** What it needs to be there, where it names them by path. */
  readonly files: readonly string[];
}

/** Takes a command line apart that starts a server through `gatebook mcp`, however it was put there; undefined for any other. */
export function readWired(words: readonly string[]): Wired | undefined {
  const launcher = launcherLength(words);
  if (launcher === undefined) return undefined;
  let at = launcher;
  // The two options that may stand before a command's name.
  while (/^--(log|keys)(=|$)/.test(words[at] ?? '')) at += words[at]!.includes('=') ? 1 : 2;
  if (words[at] !== 'mcp') return undefined;
  const files = words.slice(0, launcher).filter((word) => /[\\/]/.test(word));
  const end = words.indexOf('--', at);
  if (end < 0 || end === words.length - 1) return { front: words, server: [], files };
  return { front: words.slice(0, end + 1), server: words.slice(end + 1), files };
}

/** How many words it takes to name gatebook: `gatebook`, `node …/gatebook.js`, `npx -y gatebook`. */
function launcherLength(words: readonly string[]): number | undefined {
  const [first = '', second = ''] = words.map(baseName);
  if (isGatebook(first)) return 1;
  if (/^node(js)?(\.exe)?$/.test(first) && isGatebook(second)) return 2;
  if (!/^npx(\.cmd)?$/.test(first)) return undefined;
  const named = words.findIndex((word, at) => at > 0 && !word.startsWith('-'));
  return named > 0 && /^gatebook(@.*)?$/.test(words[named]!) ? named + 1 : undefined;
}

function isGatebook(name: string): boolean {
  return /^gatebook(\.js|\.cmd|\.exe)?$/.test(name);
}

/** Of either kind of path, wherever we run. */
function baseName(path: string): string {
  return (path.split(/[\\/]/).at(-1) ?? '').toLowerCase();
}
