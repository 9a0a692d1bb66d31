import type { Finding } from '../finding.js';
import { isTemporary } from '../paths/access.js';
import { readings, type Surroundings } from '../paths/canonical.js';
import type { Risk } from '../risk.js';
import { type Argument, hole } from './word.js';

/** What deleting is told as. */
export const deletionRules = {
  'delete-everything': {
    risk: 'critical',
    reason: 'deletes the home folder, the system or a disk’s content',
  },
  'delete-broad': {
    risk: 'high',
    reason: 'deletes a tree that does not come back by building again',
  },
  'delete-unknown': {
    risk: 'high',
    reason: 'deletes a tree that is only known when the shell expands it',
  },
  'delete-outside': { risk: 'high', reason: 'deletes outside the folder of the work' },
} as const satisfies Record<string, { risk: Risk; reason: string }>;

type DeletionId = keyof typeof deletionRules;

/** Folders that a build, a test or a download makes again. */
const madeAgain =
  /^(\.?(build|dist|out|output|outputs|target|tmp|temp|cache|caches|coverage|htmlcov|logs?|artifacts?|generated|gen|release|debug|bin|obj|lib-cov|results?|reports?|scratch|sandbox|junit|_build|_site|public\/build|storybook-static|venv|env)|node_modules|bower_components|jspm_packages|vendor|Pods|DerivedData|__pycache__|\.(next|nuxt|svelte-kit|astro|angular|parcel-cache|turbo|nx|vite|vitest|gradle|mypy_cache|pytest_cache|ruff_cache|tox|nox|venv|eggs|ipynb_checkpoints|nyc_output|terraform|dart_tool|output|vercel|netlify|wrangler|serverless|webpack|rollup\.cache|eslintcache|stylelintcache|bundle|sass-cache|docusaurus|vuepress|expo|cargo-ok|hypothesis|DS_Store|yarn|pnpm-store|swc|rpt2_cache|jest|benchmarks|tsbuildinfo)|[\w.-]*(\.egg-info|\.dist-info|\.xcworkspace|\.app|\.dSYM|\.tmp|\.log|\.pyc|\.o|\.class|\.tsbuildinfo|\.bak|\.orig|\.swp)|[\w.-]*[-_.]?(tmp|temp|test|tests|cache|build|dist|output|backup|bak|old|demo|example|scratch|fixture|fixtures|clone|copy|coverage|report|results|snapshot|snapshots|__snapshots__)[-_.\w]*)$/i;

export interface Deletion {
  target: Argument;
  recursive: boolean;
}

export function rateDeletion(deletion: Deletion, around: Surroundings): Finding[] {
  const { target } = deletion;
  const id = readings(target.value, around)
    .map((path) => judge(path, deletion, around.workspace !== undefined))
    .sort((a, b) => rank(b) - rank(a))[0];
  if (id === undefined) return [];
  return [{ rule: id, ...deletionRules[id], subject: target.text }];
}

function rank(id: DeletionId | undefined): number {
  return id === undefined ? 0 : id === 'delete-everything' ? 2 : 1;
}

const everything =
  /^(\/|\/\*+|~|~\/\*+|~\/\.\*?|\/(bin|boot|dev|etc|home|lib\w*|mnt|opt|proc|root|run|sbin|srv|sys|usr|var|System|Library|Applications|Users|Volumes)(\/\*+)?|\/(usr|var)\/(lib|bin|share|local|log)(\/\*+)?)$/;

function judge(
  path: string,
  { target, recursive }: Deletion,
  known: boolean,
): DeletionId | undefined {
  if (everything.test(path) || (path.startsWith(`/${hole}`) && recursive)) {
    return recursive || /[*]/.test(path) ? 'delete-everything' : 'delete-broad';
  }
  if (/^\/var\/(lib\/apt\/lists|cache\/apt)\/./.test(path)) return undefined;
  if (isTemporary(path)) return /^(\/\w+)*\/\*+$/.test(path) ? 'delete-broad' : undefined;
  if (/(^|\/)\.git(\/|$)/.test(path) && !/\.git\/[\w/-]*\.lock$/.test(path)) return 'delete-broad';
  if (path.includes(hole)) return judgeUnknown(path, recursive);
  if (/^~\/\.(cache|npm\/_\w+)(\/|$)/.test(path) && path !== '~/.cache') return undefined;
  // Where containers have the work; with a known workspace such a path is a relative one by now, or outside.
  const work = /^\/(work|workspaces?|repo|app|code|projects?|testbed)\/(?=.)/.exec(path);
  if (work !== null && !known)
    return judgeRelative(path.slice(work[0].length), target.pattern, recursive);
  if (/^[/~]/.test(path)) {
    return /(^|\/)(node_modules|\.next|dist|build|target|__pycache__|coverage)\/?$/.test(path)
      ? undefined
      : 'delete-outside';
  }
  if (path.startsWith('../')) {
    return madeAgain.test(lastName(path)) && path !== '..' ? undefined : 'delete-outside';
  }
  return judgeRelative(path, target.pattern, recursive);
}

function judgeUnknown(path: string, recursive: boolean): DeletionId | undefined {
  const known = path.slice(0, path.indexOf(hole));
  const first = known.split('/')[0] ?? '';
  if (known.includes('/') && !known.startsWith('/') && madeAgain.test(first)) return undefined;
  if (!recursive && !/^[/~]/.test(path)) return undefined;
  const last = lastName(path);
  if (
    !last.includes(hole) &&
    /^(node_modules|__pycache__|\.next|dist|target|coverage)$/.test(last)
  ) {
    return undefined;
  }
  return 'delete-unknown';
}

function judgeRelative(path: string, pattern: boolean, recursive: boolean): DeletionId | undefined {
  const names = path.split('/');
  if (path === '.' || path === '..') return 'delete-broad';
  const last = names.at(-1) ?? '';
  if (pattern && /^[*?.[\]!]*\**$/.test(last)) {
    const folder = names.at(-2);
    return folder !== undefined && madeAgain.test(folder) ? undefined : 'delete-broad';
  }
  if (!recursive || (!pattern && isFile(last)))
    return pattern && /^\*+\.(\w+)$/.test(path) ? judgeFiles(path) : undefined;
  return names.some((name) => madeAgain.test(name.replace(/\*/g, ''))) ? undefined : 'delete-broad';
}

/** `rm -rf package-lock.json` takes one file, whatever its options. */
function isFile(name: string): boolean {
  return /^[\w.-]+\.(json|lock|ya?ml|toml|txt|log|md|js|ts|tsx|jsx|py|rb|go|rs|css|html|xml|csv|png|jpe?g|svg|gz|zip|tgz|out|db|sqlite3?|pid|lockb)$/i.test(
    name,
  );
}

/** All sources of a kind at once are no rubbish. */
function judgeFiles(path: string): DeletionId | undefined {
  const sources =
    /\.(ts|js|tsx|jsx|py|go|rs|java|c|cc|cpp|h|rb|php|swift|kt|cs|md|sql|db|sqlite3?)$/;
  return sources.test(path) ? 'delete-broad' : undefined;
}

function lastName(path: string): string {
  return path.split('/').at(-1) ?? path;
}
