import type { Finding } from '../finding.js';
import type { Risk } from '../risk.js';
import type { Assigned } from './command.js';
import { hole } from './word.js';

/** Variables by which the environment makes programs run something else, or trust somebody else. */
export interface VariableRule {
  id: string;
  risk: Risk;
  reason: string;
  name: RegExp;
  /** Values that do no harm. */
  unless?: RegExp;
}

const editors =
  /^("?(vim?|nvim|nano|emacs|code --wait|code|cat|less( -\w+)?|more|true|:|false|never|ed|delta|bat|head|\/bin\/(true|cat)|\/usr\/bin\/(true|cat|less|vim?)|echo|)"?)$/;
const folders =
  /^(\$?\{?PATH\}?|~?\/?[\w.@+\u{FFFD}-]*(\/[\w.@+\u{FFFD}-]+)*\/(s?bin|Scripts|shims|\.bin|tools|cmd|gobin|libexec|scripts|current|bin\/\w+)|\u{FFFD}+|\u{FFFD}(\/[\w.-]+)*\/bin|~\/\.[\w.-]+|)$/u;

export const variableRules: readonly VariableRule[] = [
  {
    id: 'variable-loads',
    risk: 'high',
    reason: 'makes programs load code of somebody else',
    name: /^(LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES|DYLD_FORCE_FLAT_NAMESPACE|LD_BIND_NOT|GCONV_PATH|PERL5OPT|PERL5DB|RUBYOPT|PYTHONSTARTUP|PYTHONINSPECT|PYTHONHOME|PYTHONBREAKPOINT|PYTHONUSERBASE|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|R_PROFILE\w*|LUA_INIT\w*|NODE_REPL_EXTERNAL_MODULE|COR_PROFILER\w*|DOTNET_STARTUP_HOOKS|OPENSSL_(CONF|ENGINES|MODULES)|GIT_EXEC_PATH|GIT_TEMPLATE_DIR|BASH_FUNC_.*|GTK_MODULES|QT_PLUGIN_PATH|ERL_\w*FLAGS|ELIXIR_ERL_OPTIONS|PHPRC|PHP_INI_SCAN_DIR|VIMINIT|EXINIT|EMACSLOADPATH)$/,
    unless: /^(-Xm[xs]\S+ ?|-XX:\+?\w+(=\S+)? ?|-D[\w.]+=\S+ ?|-W\d?)+$|^0$|^1$/,
  },
  {
    id: 'variable-loads',
    risk: 'high',
    reason: 'makes programs load code of somebody else',
    name: /^(LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|DYLD_FALLBACK_LIBRARY_PATH|PYTHONPATH|NODE_PATH|PERL5LIB|RUBYLIB|CLASSPATH|GOFLAGS|RUSTC_WRAPPER|RUSTFLAGS|CARGO_BUILD_RUSTC\w*)$/,
    unless: /^(?!.*(\/tmp|\/dev\/shm|\/var\/tmp|-toolexec|-exec|linker=)).*$/,
  },
  {
    id: 'variable-loads',
    risk: 'high',
    reason: 'makes programs load code of somebody else',
    name: /^NODE_OPTIONS$/,
    unless:
      /^(?!.*(--require|-r |--import|--loader|--inspect|--openssl|--env-file)).*$|^(--import|-r|--require|--loader)[ =](tsx|ts-node\S*|dotenv\/config|source-map-support\/register)$/,
  },
  {
    id: 'variable-runs',
    risk: 'high',
    reason: 'names a command that a program runs by itself',
    name: /^(BASH_ENV|ENV|PROMPT_COMMAND|PS0|PS4|GIT_SSH\w*|GIT_PROXY_COMMAND|GIT_EXTERNAL_DIFF|GIT_ASKPASS|SSH_ASKPASS|SUDO_ASKPASS|LESSOPEN|LESSCLOSE|MANOPT|SHELL|CVS_RSH|RSYNC_RSH|TAR_OPTIONS|TAPE|COMSPEC|ZDOTDIR|FCEDIT|SHELLOPTS|BASHOPTS|npm_config_(script_shell|shell|git|node_options|prefix|globalconfig|userconfig)|NPM_CONFIG_(SCRIPT_SHELL|USERCONFIG|GLOBALCONFIG)|CARGO_TARGET_\w+_RUNNER|RUSTC|TEXINPUTS|MAKEFLAGS|GREP_OPTIONS|AWKPATH|AWKLIBPATH|FZF_DEFAULT_\w+|RIPGREP_CONFIG_PATH|HGEDITOR|SVN_SSH)$/,
    unless:
      /^(\/bin\/(ba|z)?sh|\/usr\/bin\/(ba|z)?sh|bash|zsh|(test|dev|development|production|staging|local|ci|prod)|-j ?\d*|\+ ?|true|echo|\/bin\/true|)$/,
  },
  {
    id: 'variable-runs',
    risk: 'high',
    reason: 'names a command that a program runs by itself',
    name: /^(PAGER|\w+_PAGER|MANPAGER|EDITOR|VISUAL|\w*_EDITOR|BROWSER|GIT_CONFIG_(COUNT|KEY_\d+|VALUE_\d+|PARAMETERS))$/,
    unless: new RegExp(`${editors.source}`),
  },
  {
    id: 'variable-path',
    risk: 'high',
    reason: 'puts a folder that anybody can fill before the programs of the machine',
    name: /^(PATH|CDPATH|fpath|path)$/,
    unless: /^never$/,
  },
  {
    id: 'variable-trust',
    risk: 'high',
    reason: 'changes whom programs trust, or where they go',
    name: /^(NODE_TLS_REJECT_UNAUTHORIZED|GIT_SSL_NO_VERIFY|PYTHONHTTPSVERIFY|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO|(https?|all|ftp)_proxy|(HTTPS?|ALL|FTP)_PROXY|PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CONFIG_FILE|FIND_LINKS)|UV_(INDEX\w*|DEFAULT_INDEX|EXTRA_INDEX_URL)|npm_config_registry|NPM_CONFIG_REGISTRY|YARN_(NPM_REGISTRY_SERVER|REGISTRY)|GOPROXY|GONOSUMCHECK|GONOSUMDB|GOINSECURE|GOSUMDB|CARGO_REGISTRIES_\w+|DOCKER_HOST|DOCKER_CONFIG|KUBECONFIG|AWS_ENDPOINT_URL\w*|ANTHROPIC_BASE_URL|OPENAI_(API_BASE|BASE_URL)|GIT_CONFIG(_GLOBAL|_SYSTEM)?|HOMEBREW_\w*(REMOTE|DOMAIN)|RES_OPTIONS|LOCALDOMAIN|HOSTALIASES)$/,
    unless:
      /^(|1|true|https?:\/\/(localhost|127\.0\.0\.1)\S*|https:\/\/(registry\.npmjs\.org|pypi\.org\/simple|proxy\.golang\.org(,direct)?|registry\.yarnpkg\.com)\/?|direct|off|\/dev\/null|~?(\/[\w.-]+)*\/(\.kube\/[\w.-]+|kubeconfig[\w.-]*)|\.{0,2}\/?([\w-][\w.-]*\/)*(\.?kube\/)?[\w.-]*(config|kube)[\w.-]*)$/,
  },
  {
    id: 'variable-runs',
    risk: 'high',
    reason: 'names a command that a program runs by itself',
    name: /^GIT_(DIR|COMMON_DIR|OBJECT_DIRECTORY)$/,
    unless: /^((\.{0,2}\/)?[\w.-]+\/)*\.git(\/worktrees\/[\w.-]+)?\/?$/,
  },
  {
    id: 'variable-history',
    risk: 'high',
    reason: 'stops the shell from keeping its history',
    name: /^(HISTFILE|HISTSIZE|HISTFILESIZE|HISTCONTROL|HISTIGNORE|SAVEHIST|LESSHISTFILE)$/,
  },
];

export function rateVariables(assignments: readonly Assigned[]): Finding[] {
  const findings: Finding[] = [];
  for (const { name, value } of assignments) {
    const subject = `${name}=${value.text}`;
    for (const rule of variableRules) {
      if (!rule.name.test(name)) continue;
      const harmless =
        rule.id === 'variable-path'
          ? isPlainPath(value.value)
          : isHarmless(rule, name, value.value);
      if (!harmless) {
        findings.push({ rule: rule.id, risk: rule.risk, reason: rule.reason, subject });
      }
      break;
    }
  }
  return findings;
}

/** `NODE_TLS_REJECT_UNAUTHORIZED=1` is the safe one, `GIT_SSL_NO_VERIFY=1` is not. */
function isHarmless(rule: VariableRule, name: string, value: string): boolean {
  if (name === 'GIT_SSL_NO_VERIFY') return /^(0|false|)$/.test(value);
  return rule.unless?.test(value) === true;
}

function isPlainPath(value: string): boolean {
  return value.split(':').every((folder) => folder === hole || plainFolder(folder));
}

function plainFolder(folder: string): boolean {
  if (folder === '' || /^(\.|\.\.|\/tmp|\/dev\/shm|\/var\/tmp)(\/|$)/.test(folder)) {
    return /^\.{1,2}\/(node_modules\/\.bin|\.?venv\/bin|bin)$/.test(folder);
  }
  return folders.test(folder);
}
