import type { Finding } from '../finding.js';
import { ratePath } from '../paths/access.js';
import { canonicalPath } from '../paths/canonical.js';
import type { SimpleCommand } from './command.js';
import { rateDeletion } from './deletion.js';
import type { LineState } from './line-state.js';
import { matchRules } from './matching.js';
import { notice } from './notices.js';
import { programName } from './program-name.js';
import { readSed } from './sed.js';
import { inputText } from './shells.js';
import { subcommandOf } from './subcommand.js';
import { rateTransfer, secretName, transferPrograms } from './transfer.js';
import { type Argument, hole, literal } from './word.js';

export interface Special {
  command: SimpleCommand;
  program: string;
  args: readonly Argument[];
  subject: string;
  state: LineState;
}

/** What a table of words cannot tell: what is deleted, where data goes, what a small language does. */
export function rateSpecial(special: Special): Finding[] {
  const { program } = special;
  if (deleters.has(program)) return rateDeleter(special);
  if (transferPrograms.has(program)) return rateSender(special);
  if (program === 'sed' || program === 'gsed') return rateSed(special);
  if (program === 'echo' || program === 'printf') return rateShown(special);
  if (program === 'mv' || program === 'gmv') return rateMove(special);
  if (databases.has(program)) return rateDatabase(special);
  if (program === 'git') return rateRemotes(special);
  if (program === 'source' || program === '.' || program === 'eval') return rateSourced(special);
  return [];
}

const deleters = new Set('rm rmdir unlink rimraf trash trash-put grm del'.split(' '));

function rateDeleter({ command, program, args, subject, state }: Special): Finding[] {
  const end = args.findIndex(({ value }) => value === '--');
  const options = args
    .filter(({ value }, at) => /^-./.test(value) && (end < 0 || at < end))
    .map(({ value }) => value);
  const recursive =
    program === 'rimraf' ||
    options.some((option) => /^-[a-zA-Z]*[rR]/.test(option) || /^--r/.test(option));
  const findings: Finding[] = [];
  if (options.some((option) => /^--no-p/.test(option))) {
    findings.push({
      rule: 'delete-everything',
      risk: 'critical',
      reason: 'is told to delete even the root',
      subject,
    });
  }
  const targets = args.filter(({ value }, at) => (end >= 0 && at > end) || !/^-/.test(value));
  const fromFind =
    command.through.at(-1) !== undefined &&
    /^(xargs|gxargs|find|gfind|fd|parallel)$/.test(programName(command.through.at(-1)!).name);
  for (const target of targets) {
    if (fromFind && target.value === hole)
      findings.push(...rateFound(command, recursive, subject, state));
    else {
      const resolved = { ...target, value: state.resolve(target.value) };
      findings.push(...rateDeletion({ target: resolved, recursive }, state.around));
    }
  }
  return findings;
}

/** What `find` hands to `rm`: files of a kind below the work are one thing, all below a folder another. */
function rateFound(
  command: SimpleCommand,
  recursive: boolean,
  subject: string,
  state: LineState,
): Finding[] {
  const found = finderOf(command);
  if (found === undefined) {
    return [
      {
        rule: 'delete-unknown',
        risk: 'high',
        reason: 'deletes whatever another command names',
        subject,
      },
    ];
  }
  const named = found.some(({ value }) =>
    /^-(name|iname|path|wholename|regex|newer|mtime|mmin|e|extension)$/.test(value),
  );
  const start = found.filter(
    ({ value }, at) => at > 0 && !/^[-(!]/.test(value) && !/^-/.test(found[at - 1]!.value),
  );
  const roots = start.length === 0 ? [literal('.')] : start.slice(0, 1);
  return roots.flatMap((root) => {
    const path = canonicalPath(state.resolve(root.value), state.around);
    const broad = !named || /^[/~]/.test(path) || path.includes(hole);
    if (!broad && !(recursive && /^\.$/.test(path) && !named)) return [];
    return rateDeletion(
      { target: { ...root, value: state.resolve(root.value) }, recursive: true },
      state.around,
    );
  });
}

function finderOf(command: SimpleCommand): Argument[] | undefined {
  if (command.finder !== undefined) return command.finder;
  if (command.input.kind !== 'pipe') return undefined;
  const words = command.input.from?.words;
  const name = words?.[0]?.value;
  return name !== undefined && /^(g?find|fd|fdfind)$/.test(name) ? words : undefined;
}

function rateSender({ command, program, args, subject, state }: Special): Finding[] {
  const { findings, remote } = rateTransfer(
    { program, args, fromCommands: state.fromCommands, piped: command.input.kind === 'pipe' },
    subject,
  );
  if (remote) state.reachesNetwork = true;
  const out = args.findIndex(({ value }) =>
    /^(-[A-Za-z]*[oOPcD]|--output|--output-document|--output-dir|--directory-prefix|--cookie-jar|--dump-header)$/.test(
      value,
    ),
  );
  const target = args[out + 1];
  if (out >= 0 && target !== undefined && !/^(https?:|-)/.test(target.value)) {
    findings.push(
      ...ratePath({ written: state.resolve(target.value) }, 'write', state.around).filter(
        ({ risk }) => risk !== 'medium',
      ),
    );
  }
  return findings;
}

function rateSed({ args, subject, state }: Special): Finding[] {
  const findings: Finding[] = [];
  const scripts: string[] = [];
  const files: Argument[] = [];
  let inPlace = false;
  let given = false;
  for (let at = 0; at < args.length; at++) {
    const { value } = args[at]!;
    if (/^(-e|--expression)$/.test(value) || /^-[nErsuz]+e$/.test(value)) {
      given = true;
      scripts.push(args[++at]?.value ?? '');
    } else if (/^--expression=/.test(value)) {
      given = true;
      scripts.push(value.slice(13));
    } else if (/^(-f|--file)/.test(value)) {
      given = true;
      if (value.length === 2 || value === '--file') at++;
    } else if (/^-/.test(value)) inPlace ||= /^(-[nErsuz]*i|--in-place)/.test(value);
    else if (!given && scripts.length === 0) scripts.push(value);
    else files.push(args[at]!);
  }
  // A bracket may hold the delimiter: both readings count.
  for (const script of scripts.flatMap((text) => [
    text,
    text.replace(/\[\^?\]?[^\]\n]*\]/g, '.'),
  ])) {
    const deeds = readSed(script);
    if (deeds.runs) {
      findings.push({ rule: 'option-runs', risk: 'high', reason: 'sed runs a command', subject });
    }
    for (const path of deeds.writes)
      findings.push(...ratePath({ written: path }, 'write', state.around));
    for (const path of deeds.reads)
      findings.push(...ratePath({ written: path }, 'read', state.around));
  }
  for (const file of files) {
    const written = state.resolve(file.value);
    findings.push(...ratePath({ written, pattern: file.pattern }, 'read', state.around));
    if (inPlace)
      findings.push(...ratePath({ written, pattern: file.pattern }, 'write', state.around));
  }
  return findings;
}

function rateShown({ args, subject }: Special): Finding[] {
  const secret = args.some(({ variables, text }) =>
    variables.some(
      (name) =>
        secretName.test(name) &&
        !new RegExp(`\\$\\{#?${name.replace(/\W/g, '')}(:?[+-]|\\})`).test(text),
    ),
  );
  if (!secret) return [];
  return [
    {
      rule: 'environment-shown',
      risk: 'high',
      reason: 'shows a secret of the environment',
      subject,
    },
  ];
}

/** Moving a tree away is as good as deleting it from where it is. */
function rateMove({ args, subject, state }: Special): Finding[] {
  const paths = args.filter(({ value }) => !value.startsWith('-'));
  const target = paths.at(-1);
  if (target !== undefined && canonicalPath(target.value) === '/dev/null') {
    return [
      { rule: 'data-wipe', risk: 'high', reason: 'moves files where they are lost', subject },
    ];
  }
  return paths
    .slice(0, -1)
    .flatMap((path) =>
      rateDeletion(
        { target: { ...path, value: state.resolve(path.value) }, recursive: true },
        state.around,
      ),
    )
    .filter(({ rule, risk, subject: path }) => {
      if (risk === 'critical') return true;
      // Without a known workspace, what lies below the home folder may be the work.
      const home = canonicalPath(path, state.around).startsWith('~/');
      return rule === 'delete-outside' && (state.around.workspace !== undefined || !home);
    });
}

/** A remote that the same line adds is nobody's habit. `origin` is what a new repository begins with. */
function rateRemotes({ args, subject, state }: Special): Finding[] {
  const { verbs } = subcommandOf('git', args);
  const [verb, second, third] = verbs;
  if (verb === 'remote' && second === 'add' && third !== undefined) state.remotes.add(third);
  if (verb !== 'push' || second === undefined || second === 'origin') return [];
  if (!state.remotes.has(second)) return [];
  const reason = 'sends commits to a remote that the same line adds';
  return [{ rule: 'git-elsewhere', risk: 'high', reason, subject }];
}

const databases = new Set(
  'psql mysql mariadb sqlite3 duckdb clickhouse-client mongosh mongo redis-cli valkey-cli cqlsh sqlcmd bq'.split(
    ' ',
  ),
);

/** Statements that come by a pipe or a here-document are read like those of an option. */
function rateDatabase({ command, program, args, subject }: Special): Finding[] {
  const findings: Finding[] = [];
  const text = inputText(command.input);
  if (text !== undefined) {
    const words = [...args, { ...text }];
    findings.push(
      ...matchRules({ program, args: words, sub: subcommandOf(program, words), subject }),
    );
  } else if (command.input.kind === 'pipe') {
    findings.push(notice('piped-script', subject));
  }
  return findings;
}

function rateSourced({ program, args, subject }: Special): Finding[] {
  if (program === 'eval')
    return args.some(({ known }) => !known) ? [notice('hidden-script', subject)] : [];
  return args[0]?.runs === true ? [notice('unseen-script', subject)] : [];
}
