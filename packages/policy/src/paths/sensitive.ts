import type { Risk } from '../risk.js';

/** A kind of place where reading or writing matters. */
export interface SensitivePlace {
  id: string;
  /** The risk of reading a file there. */
  read: Risk;
  /** The risk of writing, moving, linking or removing one. */
  write: Risk;
  reason: string;
  /** Against the canonical path, whatever its case. */
  path: RegExp;
  /** Places to try a pattern such as `~/.ss*` with. */
  examples: readonly string[];
}

/** In this order; the first that fits a path and is not `except` counts. */
export const sensitivePlaces: readonly SensitivePlace[] = [
  {
    id: 'path-ssh',
    read: 'high',
    write: 'high',
    reason: 'SSH keys and their settings open other machines',
    path: /(^|\/)\.ssh(\/(?!known_hosts$|config$|[^/]*\.pub$)|$)|(^|\/)id_(rsa|dsa|ecdsa|ed25519)(_sk)?$|authorized_keys|\/etc\/ssh\/.*(_key$|sshd_config)/i,
    examples: ['~/.ssh', '~/.ssh/id_rsa', '~/.ssh/id_ed25519', '~/.ssh/authorized_keys'],
  },
  {
    id: 'path-ssh-settings',
    read: 'low',
    write: 'high',
    reason: 'SSH settings decide which machines are trusted and what runs on a connection',
    path: /(^|\/)\.ssh\//i,
    examples: ['~/.ssh/config', '~/.ssh/known_hosts'],
  },
  {
    id: 'path-credentials',
    read: 'high',
    write: 'high',
    reason: 'holds passwords, tokens or keys',
    path: new RegExp(
      [
        '(^|/)\\.(aws|azure|gnupg|password-store|docker/config\\.json|kube/config|netrc|npmrc|pypirc|pgpass|my\\.cnf',
        'git-credentials|vault-token|terraformrc|terraform\\.d/credentials|cargo/credentials|gem/credentials',
        'm2/settings(-security)?\\.xml|s3cfg|boto|htpasswd|mozilla|bitcoin|ethereum|electrum|config/solana',
        'config/(gcloud|gh|hub|op|rclone|doctl|heroku|configstore|google-chrome|chromium|sops|age|git/credentials|stripe|fly)',
        'fly/config|claude/\\.credentials|claude\\.json|codex/auth|gemini/oauth|local/share/keyrings)(/|\\.|$)',
      ].join('|') +
        '|Library/(Keychains|Application Support/(Google/Chrome|Firefox|BraveSoftware))' +
        '|(^|/)(Login Data|Cookies|logins\\.json|key4\\.db|wallet\\.dat|credentials(\\.(json|ya?ml|toml|csv|ini))?|service[-_]account[^/]*\\.json|client_secret[^/]*\\.json|secrets?\\.(json|ya?ml|toml|env|txt)|\\.?htpasswd|master\\.key)$' +
        '|\\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|ovpn|asc)$|^/(var/)?run/secrets(/|$)|^/(etc/)?kubernetes/|^/etc/letsencrypt/(live|archive)',
      'i',
    ),
    examples: [
      '~/.aws/credentials',
      '~/.aws',
      '~/.netrc',
      '~/.npmrc',
      '~/.pypirc',
      '~/.kube/config',
      '~/.gnupg/private-keys-v1.d',
      '~/.docker/config.json',
      '~/.git-credentials',
      '~/.config/gcloud/credentials.db',
      '~/.config/gh/hosts.yml',
    ],
  },
  {
    id: 'path-env-file',
    read: 'high',
    write: 'medium',
    reason: 'an environment file holds the secrets of a program',
    path: /(^|\/)\.env(rc)?(\.(?!example$|sample$|template$|dist$|defaults?$|schema$)[\w-]+)*$/i,
    examples: ['.env', '.env.local', '.env.production'],
  },
  {
    id: 'path-passwords',
    read: 'high',
    write: 'critical',
    reason: 'the accounts of this machine',
    path: /^(\/private)?\/etc\/(passwd|shadow|gshadow|master\.passwd|sudoers|sudoers\.d|pam\.d|security|krb5\.keytab)(-|\/|$)/i,
    examples: ['/etc/passwd', '/etc/shadow', '/etc/sudoers'],
  },
  {
    id: 'path-process-memory',
    read: 'high',
    write: 'critical',
    reason: 'the memory or environment of other programs',
    path: /^\/proc\/([^/]+\/(task\/[^/]+\/)?(environ|mem|maps|fd|auxv)|kcore|kallsyms)(\/|$)|^\/dev\/(mem|kmem|port)$/i,
    examples: ['/proc/self/environ', '/proc/1/environ', '/dev/mem'],
  },
  {
    id: 'path-disk',
    read: 'high',
    write: 'critical',
    reason: 'a whole disk',
    path: /^\/dev\/(r?disk|sd[a-z]|hd[a-z]|vd[a-z]|xvd|nvme|mmcblk|dm-|md\d|mapper|loop|block)/i,
    examples: ['/dev/sda', '/dev/sda1', '/dev/nvme0n1', '/dev/vda', '/dev/disk0', '/dev/mmcblk0'],
  },
  {
    id: 'path-git-internals',
    read: 'low',
    write: 'high',
    reason: 'Git runs hooks and settings of a repository as commands',
    path: /(^|\/)\.git(\/(?!([\w/-]+\.)?index\.lock$|[\w/-]+\.lock$)|$)|(^|\/)(\.gitconfig|\.config\/git)(\/|$)|(^|\/)hooks\/(pre|post|commit|prepare|applypatch|update|fsmonitor)[\w-]*$/i,
    examples: ['.git/hooks/pre-commit', '.git/config', '~/.gitconfig'],
  },
  {
    id: 'path-agent-settings',
    read: 'low',
    write: 'high',
    reason: 'settings that decide what an agent or editor may run',
    path: /(^|\/)(\.claude\/(settings|hooks)|\.claude\/?$|\.cursor\/(mcp|hooks|permissions|cli)|\.mcp\.json$|\.codex\/|\.gemini\/settings|\.vscode\/(tasks|settings|mcp|launch)\.json|\.idea\/workspace|gatebook\.toml$|\.config\/gatebook|\.local\/state\/gatebook|claude_desktop_config\.json)/i,
    examples: ['.claude/settings.json', '.mcp.json', 'gatebook.toml', '.vscode/tasks.json'],
  },
  {
    id: 'path-shell-startup',
    read: 'low',
    write: 'high',
    reason: 'runs at every login or every new shell',
    path: /(^|\/)\.(bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshrc|zshenv|zprofile|zlogin|zlogout|kshrc|cshrc|tcshrc|login|inputrc|xprofile|xinitrc|xsession|xsessionrc|pam_environment|vimrc|exrc|emacs|gdbinit|lldbinit|tmux\.conf|screenrc|psqlrc|sqliterc|irbrc|pryrc|pythonrc|Rprofile|curlrc|wgetrc|nanorc)(\.d)?(\/|$)|^~\/\.(vim|emacs\.d|config\/(fish|nvim|zsh|environment\.d|autostart|systemd|cron|pip)|local\/share\/(applications|systemd)|oh-my-zsh|pip)(\/|$)|Library\/Launch(Agents|Daemons)/i,
    examples: ['~/.bashrc', '~/.zshrc', '~/.profile', '~/.config/autostart/x.desktop'],
  },
  {
    id: 'path-history',
    read: 'high',
    write: 'high',
    reason: 'what was typed before, secrets included, and the trace of what was done',
    path: /(^|\/)\.?(\w+_history|zhistory|histfile|viminfo|lesshst|fish_history)$/i,
    examples: ['~/.bash_history', '~/.zsh_history', '~/.python_history'],
  },
  {
    id: 'path-control-socket',
    read: 'high',
    write: 'high',
    reason: 'whoever reaches this socket rules the machine or its keys',
    path: /(docker|containerd|podman|crio)\.sock$|(^|\/)(ssh-[\w]+\/agent|S\.gpg-agent)/i,
    examples: ['/var/run/docker.sock', '/run/docker.sock'],
  },
  {
    id: 'path-harmless-device',
    read: 'low',
    write: 'low',
    reason: 'a device without memory',
    path: /^\/dev\/(null|stdin|stdout|stderr|tty|zero|random|urandom|full|fd\/\d+|ptmx|shm\/[\w.-]+)$/,
    examples: [],
  },
  {
    id: 'path-system',
    read: 'low',
    write: 'high',
    reason: 'belongs to the system, not to the work',
    path: /^(\/private)?\/(etc|usr|bin|sbin|lib|lib32|lib64|libx32|boot|dev|sys|proc|run|srv|opt|System|Library|Applications|snap|nix|var\/(?!tmp(\/|$)|folders\/))([^/]*)(\/|$)/i,
    examples: ['/etc/hosts', '/usr/bin/env', '/var/log/syslog', '/boot/vmlinuz'],
  },
  {
    id: 'path-home-settings',
    read: 'low',
    write: 'high',
    reason: 'a settings file of the user, which outlives the work',
    path: /^~\/\.(?!cache(\/|$)|npm(\/|$)|local\/share|local\/state|local\/bin$|cargo\/registry|rustup|gradle|m2\/repository|yarn|pnpm|bun|deno|pyenv|nvm|rbenv|conda|virtualenvs|cursor\/projects|venv)/i,
    examples: [],
  },
  {
    id: 'path-root',
    read: 'low',
    write: 'high',
    reason: 'the root of the file system',
    path: /^\/[^/]*$/,
    examples: [],
  },
];
