import type { ShellRule } from './rule.js';

/** Keys that name people, colours and habits, and run nothing. */
const harmlessKeys =
  '(user\\.(name|email|signingkey)|init\\.defaultbranch|pull\\.(rebase|ff)|push\\.(default|autosetupremote)|color\\.\\S+|core\\.(autocrlf|filemode|quotepath|ignorecase|longpaths|eol|safecrlf|symlinks|precomposeunicode|preloadindex|abbrev|fsmonitor=false)|merge\\.(conflictstyle|ff|renames)|rerere\\.\\w+|branch\\.\\S+|diff\\.(algorithm|colormoved|renames|noprefix|context|mnemonicprefix)|log\\.\\w+|advice\\.\\S+|rebase\\.\\w+|fetch\\.\\w+|commit\\.(gpgsign|verbose)|tag\\.gpgsign|gc\\.auto|help\\.autocorrect|safe\\.directory|submodule\\.recurse|blame\\.\\w+|column\\.ui|feature\\.\\w+|index\\.\\w+|pack\\.\\w+|status\\.\\w+|http\\.(postbuffer|lowspeed\\w+|version)|protocol\\.version|format\\.\\w+|i18n\\.\\w+)';
const harmlessEditors = '((core\\.editor|sequence\\.editor|core\\.pager)=(true|:|cat|less)?( |$))';
const place = /(^| )(https?:|ssh:|git:|file:|ext::|\w+@[\w.-]+:|\/|~|\.\.\/)/;
const everything = /(^| )(\.\/?|\*|:\/|:\(\S*|\S*\/\*)( |$)/;

export const gitRules: readonly ShellRule[] = [
  {
    id: 'git-work-lost',
    risk: 'high',
    reason: 'loses commits, or changes that are not committed',
    uses: [
      { programs: 'git', sub: 'reset', options: '--hard --merge' },
      { programs: 'git', sub: 'clean', unless: /(^| )(-\w*n\w*|--dry-run)( |$)/ },
      { programs: 'git', sub: 'checkout', options: '-f --force' },
      { programs: 'git', sub: 'checkout', line: everything },
      { programs: 'git', sub: 'restore', line: everything, unless: /(^| )(--staged|-S)( |$)/ },
      { programs: 'git', sub: 'switch', options: '-f --force --discard-changes -C' },
      { programs: 'git', sub: 'branch', options: '-D -M -f --force' },
      { programs: 'git', sub: 'stash drop|stash clear|reflog expire|reflog delete' },
      { programs: 'git', sub: 'filter-branch|filter-repo|replace|prune|update-ref|symbolic-ref' },
      { programs: 'git', sub: 'gc', options: '--prune' },
      { programs: 'git', sub: 'worktree remove|submodule deinit', options: '-f --force' },
      { programs: 'git', sub: 'rm', line: everything, unless: /--cached/ },
    ],
  },
  {
    id: 'git-remote-rewrite',
    risk: 'high',
    reason: 'rewrites or removes what others see in the remote repository',
    uses: [
      {
        programs: 'git',
        sub: 'push',
        options: '-f --force --force-with-lease --force-if-includes --mirror --delete -d --prune',
      },
      { programs: 'git', sub: 'push', line: /(^| )(\+\S|:\S)/ },
    ],
  },
  {
    id: 'git-elsewhere',
    risk: 'high',
    reason: 'sends commits to a place the repository does not know, or changes where they go',
    uses: [
      { programs: 'git', sub: 'push', line: place },
      { programs: 'git', sub: 'push', line: /\uFFFD.* / },
      { programs: 'git', sub: 'remote set-url|remote rename|remote remove|remote rm' },
      { programs: 'git', sub: 'clone|fetch|pull|ls-remote|submodule|archive', line: /(^| )ext::/ },
      {
        programs: 'git',
        sub: 'clone|fetch|pull|ls-remote|archive',
        options: '--upload-pack --template --config --exec',
      },
      { programs: 'git', sub: 'clone', options: '-u -c' },
      { programs: 'git', sub: 'bundle create', line: /^\/(?!tmp\/)|^~/ },
    ],
  },
  {
    id: 'git-runs',
    risk: 'high',
    reason: 'makes Git run a command',
    uses: [
      {
        programs: 'git',
        head: new RegExp(
          `(^| )(-c|--config-env)(?![= ]?(${harmlessKeys}(=|$| )|${harmlessEditors}))`,
        ),
      },
      { programs: 'git', head: /--exec-path|--git-dir[= ](?!\.git\b|\.\.?\/)\S|--config-env/ },
      { programs: 'git', sub: 'rebase|am', options: '-x --exec' },
      { programs: 'git', sub: 'bisect run|submodule foreach' },
      { programs: 'git', sub: 'difftool|mergetool', options: '-x --extcmd' },
      { programs: 'git', sub: 'grep', options: '-O --open-files-in-pager' },
      { programs: 'git', sub: 'archive', options: '--remote --exec' },
      { programs: 'git', sub: 'push', options: '--receive-pack --exec' },
      { programs: 'git', sub: 'log|diff|show', options: '--ext-diff' },
      { programs: 'git', sub: 'apply', options: '--unsafe-paths' },
    ],
  },
  {
    id: 'git-checks-skipped',
    risk: 'high',
    reason: 'skips the checks that the repository asks for',
    uses: [
      { programs: 'git', sub: 'commit|push|merge', options: '--no-verify' },
      { programs: 'git', sub: 'commit', line: /(^| )-n( |$)/ },
    ],
  },
  {
    id: 'git-settings',
    risk: 'high',
    reason: 'changes settings by which Git runs commands or trusts hosts',
    uses: [
      {
        programs: 'git',
        sub: 'config',
        unless: new RegExp(
          `^((--(global|local|worktree|system|show-origin|show-scope|type=\\S+|name-only|null) |-z )*(--get\\S*|--list|-l|get|list)\\b.*|(--(global|local|worktree|replace-all|add|unset|type=\\S+) |set |unset )*${harmlessKeys}( .*)?|(--(global|local) )*[\\w-]+(\\.[\\w-]+)+)$`,
          'i',
        ),
      },
      {
        programs: 'git',
        sub: 'config',
        line: /(^| )(--unset-all|--remove-section|--rename-section|--edit|-e|--file|-f|--blob)( |$)/,
      },
    ],
  },
];
