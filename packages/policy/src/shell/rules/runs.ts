import type { ShellRule } from './rule.js';

/** Programs of everyday work with an option or a small language by which they start others. */
export const runRules: readonly ShellRule[] = [
  {
    id: 'option-runs',
    risk: 'high',
    reason: 'an option makes this program start another one, or load code',
    uses: [
      {
        programs: 'vim vi nvim view ex gvim vimdiff rvim rview',
        line: /(^| )(-c ?|--cmd[= ]|\+)\S|(^| )(-S|-s|-u|-i|-es|-Es|-e)( |$)/,
        unless: /^(\+\d+|-R|--version) ?\S*$/,
      },
      {
        programs: 'vim vi nvim view ex ed gvim emacs nano pico joe micro mc kak hx ne',
        unless: /^(--version|-v|--help|-h)$/,
      },
      { programs: 'less more most', line: /(^| )(\+\S*!|-k|--lesskey\S*|-o ?\S|-O ?\S|-K)/ },
      { programs: 'man', options: '-P --pager -H --html -B --extra-pager -C --config-file -T' },
      { programs: 'bat batcat git-delta', options: '--pager --config-file' },
      { programs: 'sort gsort', options: '--compress-program -T --files0-from' },
      { programs: 'split', options: '--filter' },
      { programs: 'rg', options: '--pre --hostname-bin' },
      { programs: 'ag ack', options: '--pager' },
      { programs: 'fzf', options: '--preview --bind --history' },
      { programs: 'tcpdump', options: '-z' },
      { programs: 'zip', options: '-T --unzip-command -TT' },
      {
        programs: 'make gmake',
        line: /(^| )(--eval\S*|-E)|(^| )(SHELL|MAKEFLAGS|CC|CXX|LD|AR)=(?!(gcc|g\+\+|cc|c\+\+|clang|clang\+\+|ccache|ld|ar|\/?(usr\/)?bin\/(ba)?sh|ba?sh|musl-gcc|arm-\S+|aarch64-\S+|x86_64-\S+|emcc|zig)( |$|-))|-f ?(\/|~|-( |$)|\uFFFD)|(^| )-C ?(\/(?!tmp\/)|~)/,
      },
      {
        programs: 'make gmake ninja just task rake',
        line: /(^| )(--shell|--chooser|-C ?\/(?!tmp\/|home\/|Users\/|work\/|workspace\/|app\/|repo\/|src\/|code\/))/,
      },
      {
        programs: 'make npm yarn pnpm bun just task rake gradle mvn cargo go',
        line: /(^| )(?:run |run-script )?\S*(deploy|publish|release|destroy|wipe|nuke|purge|db:(drop|reset)|drop-?db|db-?drop|reset-?db|prod(uction)?)( |$|:|-)/,
        unless:
          /--dry-run|:dry|(^| )(build|test|lint|check|preview|start|serve|dev|--mode|--env|--configuration|-c)[ =:]?.*(prod|release)|--(release|prod|production|omit|only)|\b(build|assemble|bundle|compile|test|lint|check|typecheck|install|ci|version)\b/,
      },
      {
        programs: 'cmake',
        line: /(^| )(-P|-E (rm|remove|remove_directory|copy|copy_directory|rename|create_symlink|env|time|make_directory|chdir))( |$)/,
        unless: /-E (make_directory|copy|copy_directory|time|rename|copy_if_different) [\w.-]/,
      },
      {
        programs: 'cmake meson ninja ctest gcc g++ cc c++ clang clang++ ld',
        line: /(^| )(-wrapper|-B ?\/|-fplugin=|-plugin|-specs=|-Xclang -load|@\/|-o ?\/(?!tmp\/|dev\/null)|-o ?~)/,
      },
      {
        programs: 'node nodejs bun tsx ts-node deno',
        options: '-r --require --import --loader --experimental-loader --openssl-config',
        unless:
          /^(-r|--require|--import|--loader)[ =](ts-node|tsx|tsconfig-paths|dotenv|source-map-support|esbuild-register|@swc\/register|@swc-node\/register|@babel\/register|\.\/|ts-node\/esm|tsx\/esm|@esbuild-kit)/,
      },
      {
        programs: 'deno',
        options:
          '-A --allow-all --allow-run --allow-ffi --allow-env --unsafely-ignore-certificate-errors',
      },
      { programs: 'deno', line: /^eval|https?:/ },
      {
        programs: 'python pypy',
        options: '-i -W',
        line: /-m (pdb|code|http\.server.*(0\.0\.0\.0)|smtpd|ftplib|telnetlib|webbrowser|pty|turtle)/,
      },
      {
        programs: 'php',
        options: '-S -B -R -E -F -d --define --server --process-begin',
        unless:
          /-S (localhost|127\.0\.0\.1)|-d (memory_limit|xdebug\.\w+|error_reporting|display_errors|max_execution_time|zend\.\w+|date\.timezone)/,
      },
      { programs: 'php', options: '-a --interactive' },
      {
        programs: 'ruby',
        options: '-r',
        unless: /-r ?(json|yaml|date|time|csv|set|pp|bundler\/setup|rubygems|erb|optparse|\.\/)/,
      },
      {
        programs:
          'irb ipython pry ghci iex erl lua R julia tclsh jshell sbcl guile racket scala groovy php psysh',
        line: /^$/,
      },
      {
        programs: 'java kotlin scala',
        line: /(^| )(-javaagent|-agentpath|-agentlib|-Xbootclasspath|-XX:OnError|-XX:OnOutOfMemoryError|@\/)/,
      },
      { programs: 'perf heaptrack samply', options: '--pid -p -a' },
      { programs: 'git-shell rbash rssh lshell' },
      {
        programs: 'pandoc',
        options: '--filter -F --lua-filter -L --pdf-engine --extract-media',
        unless:
          /--pdf-engine[= ](xelatex|pdflatex|lualatex|tectonic|wkhtmltopdf|weasyprint|typst)|(-F|--filter)[= ](pandoc-\w+|mermaid-filter)/,
      },
      {
        programs: 'latexmk pdflatex xelatex lualatex latex tex',
        line: /-?-?(shell-escape|enable-write18|pdflatex=|e |latex=)|\\(immediate|write18|input\|)/,
      },
      {
        programs: 'convert magick montage mogrify identify',
        line: /(^| )(msl|mvg|https?|ftp|ephemeral|label:@|text:\/|caption:@|\|)|-write |@\/|'\|/,
      },
      {
        programs: 'ffmpeg ffprobe',
        line: /(^| )(tcp|udp|rtmp|http|ftp|sftp|concat:|subfile|-f (alsa|x11grab|avfoundation|pulse|gdigrab|v4l2|dshow))/,
      },
      { programs: 'xmllint xsltproc', line: /--(noent|xinclude|shell|loaddtd)|https?:/ },
      {
        programs: 'jq gojq jaq',
        options: '-L --from-file -f',
        unless: /-f (\.\/)?[\w-][\w./-]*\.jq/,
      },
      {
        programs: 'yq',
        line: /\b(load|eval|env|strenv|load_str)\(/,
        unless: /\benv\((?!.*(SECRET|TOKEN|KEY|PASS))\w+\)/,
      },
      { programs: 'wc du sort', line: /--files0-from/ },
      { programs: 'file', options: '-m -f --files-from --magic-file' },
      { programs: 'date', options: '-f -s --set --file' },
      { programs: 'hostname', line: /^[^-]/ },
      { programs: 'hostname', options: '-F -b --file' },
      {
        programs: 'ps',
        line: /(^| )-?[a-zA-Z]*e[a-zA-Z]*ww|(^| )[a-df-z]*e[a-z]*$/,
        unless: /^(-\w*|-\w+ \S+|aux\w*|-o \S+| )*$/,
      },
      {
        programs: 'expect unexpect autoexpect tclsh wish dialog whiptail zenity',
        unless: /^(--version|-v)$/,
      },
      {
        programs: 'tmux screen byobu zellij dtach abduco',
        unless:
          /^(ls|list-\w+|-ls|-V|-v|display-message|has-session|capture-pane|kill-session|attach|info|show\w*)\b/,
      },
      { programs: 'script scriptreplay', line: /^(?!--version)/ },
      {
        programs: 'open xdg-open start gio kde-open',
        line: /(^| )(-a |\/(?!tmp\/)|[a-z]+:(?!\/\/(localhost|127\.0\.0\.1)))|\.(app|command|sh|desktop|scpt|workflow|terminal)( |$)/i,
      },
      { programs: 'rlwrap socat xterm gnome-terminal konsole kitty alacritty' },
      {
        programs: 'code cursor subl',
        options: '--user-data-dir --extensions-dir --remote --open-url --command',
      },
      {
        programs: 'xargs gxargs',
        line: /^(-\S+ |\d+ |\{\} |% )*$/,
        unless: /^(-0 |-r |-n ?\d+ )*$/,
      },
      {
        programs:
          'rundll32 regsvr32 mshta wscript cscript certutil bitsadmin powershell pwsh cmd wmic reg schtasks sc net netsh wsl installutil msiexec vssadmin cipher takeown icacls diskpart format del erase rd',
      },
      {
        programs: 'adb',
        sub: 'shell|root|install|push|sideload|reboot|uninstall|remount',
        unless: /^(getprop|pm list|dumpsys|logcat|ls|am (start|force-stop))/,
      },
      {
        programs: 'ansible ansible-playbook salt puppet chef',
        unless: /--(check|syntax-check|list-\w+|version|help)|-C( |$)/,
      },
      { programs: 'pre-commit overcommit', sub: 'try-repo', line: /https?:/ },
      { programs: 'xcrun', line: /\b(simctl (erase|delete)|altool|notarytool|stapler|security)\b/ },
      {
        programs: 'ast-grep sg semgrep comby jscodeshift codemod',
        line: /(^| )(--config[= ]|-c ?|-t ?)?https?:/,
      },
      {
        programs: 'gradle gradlew mvn mvnw',
        line: /(^| )(-I|--init-script|-s ?\/|--settings \/|-Dexec\.executable|exec:exec|-Dmaven\.ext\.class\.path|-javaagent)/,
      },
      {
        programs: 'pytest py.test',
        options: '-p -c --rootdir --confcutdir',
        unless: /-p (no:\S+|xdist|pytest_\w+|randomly|asyncio)|(-c |--rootdir[= ])(\.|[\w-])/,
      },
      { programs: 'env', options: '-S --split-string' },
      { programs: 'su', line: /^/ },
    ],
  },
  {
    id: 'code-from-elsewhere',
    risk: 'high',
    reason: 'runs code of a place that is not the work',
    uses: [
      {
        programs: 'nix',
        line: /^(run|profile|shell|develop)\b.*(github:|gitlab:|git\+|https?:|flake:)|^(run|profile) /,
      },
      { programs: 'go', sub: 'run', line: /^(-\S+ )*\/(tmp|var\/tmp|dev\/shm)\// },
      {
        programs: 'composer make npm yarn pnpm cargo',
        line: /--(working-dir|prefix|cwd|manifest-path|dir)[= ]\/(tmp|var\/tmp|dev\/shm)/,
      },
    ],
  },
  {
    id: 'destroy-by-word',
    risk: 'high',
    reason: 'a task that by its name removes, publishes or deploys something',
    uses: [
      { programs: 'rimraf trash trash-put', line: /(^| )(\/|~|\.\.|\*$|\.$|\uFFFD)/ },
      { programs: 'degit tiged giget', options: '--force -f' },
      { programs: 'wrangler vercel netlify firebase', line: /deploy|publish|delete/ },
      { programs: 'cast forge', sub: 'send|publish|wallet|create|script', unless: /^list/ },
      {
        programs: 'solc truffle hardhat',
        line: /--network (?!(hardhat|localhost|development))|verify/,
      },
    ],
  },
];
