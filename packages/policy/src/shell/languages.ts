import type { Risk } from '../risk.js';

export const codeRules = {
  'code-runs': {
    risk: 'high',
    reason: 'code on the command line that starts programs, or builds code while it runs',
  },
  'code-network': { risk: 'high', reason: 'code on the command line that reaches the network' },
  'code-deletes': {
    risk: 'high',
    reason: 'code on the command line that removes, moves or re-owns files',
  },
  'code-environment': {
    risk: 'high',
    reason: 'code on the command line that shows the environment, secrets included',
  },
  'code-unread': {
    risk: 'high',
    reason:
      'code on the command line in a language that this policy does not read, or not known before it runs',
  },
} as const satisfies Record<string, { risk: Risk; reason: string }>;

export type CodeRuleId = keyof typeof codeRules;

/** A language as far as harm can be told from its words. */
export interface Language {
  programs: string;
  /** Options that take code; a letter also at the end of a cluster. */
  options: string;
  /** Options that take another word. */
  valued?: string;
  /** True when the first other word is code, as for awk. */
  first?: true;
  runs: RegExp;
  network?: RegExp;
  deletes?: RegExp;
  environment?: RegExp;
  /** Told apart from reading, for the paths in the code. */
  writes?: RegExp;
}

const secretEnv = '(?!\\w*(?:SECRET|TOKEN|KEY|PASS|CRED|AUTH))';

export const languages: readonly Language[] = [
  {
    programs: 'python pypy python2',
    options: '-c',
    valued: '-W -X -Q',
    runs: /\bos\s*\.\s*(system|popen|exec\w*|spawn\w*|posix_spawn\w*|fork\w*|kill\w*|startfile|set[ug]id|putenv|dup2?)\b|\b(subprocess|pty|popen2|pexpect|plumbum|multiprocessing|ctypes|cffi|runpy|marshal|pickle|dill|shelve|antigravity|webbrowser)\b|from\s+os\s+import(?!\s+path\b)|import\s+os\s+as|import_module|\bimportlib\b(?!\s*\.\s*(metadata|resources|util\.find_spec|import_module\(['"][\w.]+['"]\)))|create_subprocess|__import__|__builtins__|__subclasses__|__globals__|__getattribute__|__dict__|__loader__|__code__|\bbuiltins\b|\bcode\.(interact|Interactive)|\bpdb\b|(?<![.\w])(exec|eval|compile|getattr|setattr|globals|vars|locals|breakpoint)\s*\(|sys\.modules|sys\.settrace/,
    network:
      /\b(urlopen|urlretrieve|create_connection|HTTPS?Connection|open_connection|ftplib|smtplib|paramiko|telnetlib|xmlrpc|socketserver|websockets?)\b|\b(requests|httpx|aiohttp|urllib3)\s*\.\s*(get|post|put|patch|delete|head|request|Session|Client|AsyncClient|ClientSession|PoolManager|stream)|from\s+(requests|httpx|urllib\.request|socket)\s+import|\bsocket\s*\.\s*(socket|gethostby\w+|getaddrinfo|create_\w+)|import\s+socket\b/,
    deletes:
      /\brmtree\b|\bos\s*\.\s*(remove|unlink|rmdir|removedirs|truncate|rename|renames|replace|chmod|chown|lchown|link|symlink)\b|\.unlink\s*\(|\.rmdir\s*\(|shutil\s*\.\s*(move|chown)|send2trash|\.(symlink|hardlink)_to\(|\.chmod\(/,
    environment: new RegExp(
      `os\\s*\\.\\s*environ\\b(?!\\s*(\\.get\\(|\\.setdefault\\(|\\[)\\s*['"]${secretEnv}\\w+['"])|os\\s*\\.\\s*getenv\\(\\s*['"](?=\\w*(SECRET|TOKEN|KEY|PASS|CRED))|\\benvironb\\b`,
    ),
    writes:
      /open\s*\([^)]*,\s*(mode\s*=\s*)?['"][rb]*[wax+]|write_(text|bytes)|\.write\(|\.dump\(|to_(csv|json|pickle|excel|parquet)|savefig|\.save\(|mkdir|makedirs|touch\(|copy\w*\(/,
  },
  {
    programs: 'node nodejs bun tsx ts-node deno',
    options: '-e --eval -p --print -pe -ep',
    valued: '-r --require --import --loader -C --conditions --env-file -O -P --project',
    runs: /child_process|worker_threads|\bvm\b|inspector|(?<![.\w])(exec|execFile|spawn|fork|eval)(Sync)?\s*\(|\bFunction\s*\(|\bconstructor\b|process\s*\.\s*(binding|dlopen|mainModule|kill|_linkedBinding)|process\s*\[|module\s*\.\s*_load|createRequire|\bBun\s*\.\s*(spawn|\$|file|write)|\bDeno\s*\.\s*(run|Command|remove|write)|(globalThis|global|window|require)\s*\[|\b(require|import)\s*\(\s*(?!'[^']*'\s*\)|"[^"]*"\s*\))|Reflect\s*\.|\bexeca\b|\bshelljs\b|\bzx\b|\\x|\\u00/,
    network:
      /\bfetch\s*\(|\b(https?|http2|net|dgram|dns|tls)['"]?\s*\)?\s*\.\s*(get|request|connect|create\w+|Socket|lookup|resolve\w*)|WebSocket|\baxios\b|XMLHttpRequest|\bundici\b|node-fetch|sendBeacon|from\s*['"](node:)?(net|https?|dgram|dns|tls)/,
    deletes:
      /\b(rm|unlink|rmdir|truncate|rename|chmod|chown|symlink|link|cp|rimraf|emptyDir|remove|lchown)(Sync)?\s*\(/,
    environment: new RegExp(`process\\s*\\.\\s*env\\b(?!\\s*\\.\\s*${secretEnv}\\w+)`),
    writes: /writeFile|appendFile|createWriteStream|mkdir|copyFile|outputFile/,
  },
  {
    programs: 'perl',
    options: '-e -E -ne -pe -ple -nle -pie -lne -lpe -ane -lane -0pe -0777pe -i -ni -pi',
    valued: '-I -M -m',
    runs: /\b(system|exec|fork|eval|syscall|qx|do\s*['"{$]|require|IPC::|pack|sprintf\s*\(\s*['"]%c)\b|`|\bopen\b[^;]*\||\|\s*['"]|(^|[^\w])s(?<cut>[/|#,!{])[^\n]{0,300}(\k<cut>|\})[gimsx]*e[gimsxe]*\b|\buse\s+(?!strict|warnings|utf8|JSON|Data::Dumper|List::|POSIX|Time::|File::(Basename|Spec|Slurp)|feature|v?5|open|Encode|Text::|Math::|Storable|Digest|MIME|Scalar)|\?\{|\bkill\b|@\{\[/,
    network: /Socket|LWP|HTTP::|Net::|IO::Select|gethostby/,
    deletes: /\b(unlink|rmdir|rename|truncate|chmod|chown|symlink|link|utime|rmtree|remove_tree)\b/,
    environment: /%ENV|\$ENV\{\W*(?=\w*(SECRET|TOKEN|KEY|PASS|CRED))|keys\s*%ENV/,
    writes: /\bopen\b[^;]*['"]\s*>|\bprint\s+\{?\$?\w+\}?\s/,
  },
  {
    programs: 'ruby',
    options: '-e -ne -pe -ane -lne -rjson -ruri',
    valued: '-I -r -C',
    runs: /\b(system|exec|spawn|fork|popen\w*|Open3|eval|instance_eval|class_eval|module_eval|send|__send__|public_send|const_get|method|define_method|Kernel|Process|PTY|Fiddle|DL|ObjectSpace|load|syscall|trap|binding|Marshal)\b|`|%x|\bopen\s*\(?\s*['"]\||\brequire\s+(?!['"](json|yaml|date|time|csv|set|pp|digest|securerandom|erb|rails|bundler|bundler\/setup|active\w+|uri|psych|optparse|pathname|tempfile|bigdecimal|benchmark|\.)[\w/]*['"])/,
    network: /Socket|Net::|open-uri|URI\.open|HTTParty|Faraday|RestClient|TCPServer/,
    deletes:
      /FileUtils|File\.(delete|unlink|rename|chmod|chown|symlink|link|truncate)|Dir\.(rmdir|unlink|delete)|\.(unlink|rmtree|rmdir|delete)\b/,
    environment: /\bENV\b(?!(\[|\.fetch\()['"](?!\w*(SECRET|TOKEN|KEY|PASS|CRED))\w+['"])/,
    writes: /File\.(write|open)|IO\.write/,
  },
  {
    programs: 'php',
    options: '-r',
    valued: '-d -c',
    runs: /\b(system|exec|shell_exec|passthru|popen|proc_open|pcntl_\w+|eval|assert|create_function|include\w*|call_user_func\w*|array_map|dl|ini_set|putenv|mail|extract|unserialize|ReflectionFunction|preg_replace\s*\(\s*['"](?<cut>.).*\k<cut>\w*e)\b|`|\$\w+\s*\(|\brequire\w*(?!\w*\s*\(?\s*['"](\.\/)?vendor\/autoload)/,
    network: /fsockopen|curl_|stream_socket|socket_|https?:\/\/(?!localhost)|ftp_/,
    deletes: /\b(unlink|rmdir|rename|chmod|chown|symlink|link|copy|ftruncate)\b/,
    environment: /\$_ENV|\$_SERVER\b(?!\[)|getenv\s*\(\s*\)|phpinfo\s*\(\s*(?!\s*\w)/,
    writes: /file_put_contents|fopen/,
  },
  {
    programs: 'lua luajit',
    options: '-e',
    runs: /os\s*\.\s*(execute|exit)|io\s*\.\s*popen|\bload\w*\s*\(|dofile|debug\.|package\.|\brequire\b|_G\b|_ENV\b/,
    network: /socket/,
    deletes: /os\s*\.\s*(remove|rename)/,
    environment: /os\s*\.\s*getenv/,
    writes: /io\s*\.\s*open/,
  },
  {
    programs: 'awk gawk mawk nawk',
    options: '-e --source',
    valued: '-F -v -f -i -l --field-separator --assign --file --include --load -E --exec',
    first: true,
    runs: /\bsystem\s*\(|\|&|\|\s*getline|\|\s*["\w$(]|\|&?\s*getline|@load|@include|\/inet|@\w+\s*\(/,
    environment: /ENVIRON(?!\[\s*"(?!\w*(SECRET|TOKEN|KEY|PASS|CRED))\w+"\s*\])/,
    writes: />/,
  },
  {
    programs:
      'jshell groovy scala scala-cli kotlin elixir erl iex Rscript R julia octave ghc runghc swift osascript tclsh guile sbcl clisp racket raku clj clojure bb lein nim crystal io rebol psysh emacs gawk-ext elisp pwsh powershell',
    options: '-e -E -eval --eval -c -r --execute -x -command -Command -EncodedCommand',
    runs: /^(?!\s*(print|println|puts|IO\.puts|cat|display|sessionInfo|packageVersion|library|using Pkg; Pkg\.(status|instantiate|test|resolve)|System\.version|VERSION)[^;|`$]*$)/,
  },
];
