import type { ShellRule } from './rule.js';

const sourceOptions =
  '--index-url --extra-index-url --index --default-index --find-links -i -f --trusted-host --registry --no-index-check --source --repository-url';
const fromElsewhere =
  /(?<!--(?:index-url|extra-index-url|find-links|registry|index))(^| )(-e |--editable )?(git\+|hg\+|svn\+|bzr\+)?(https?|git|ssh|ftp|file(?!:\.)|github|gitlab|bitbucket|gist):|(^| )(git@|[\w.-]+@[\w.-]+:)|(^| )\/(?!tmp\/)[^ ]*\.(tgz|tar\.gz|whl|zip)/;

export const packageRules: readonly ShellRule[] = [
  {
    id: 'publish',
    risk: 'high',
    reason: 'publishes something, or changes what was published',
    uses: [
      {
        programs: 'npm pnpm yarn bun',
        sub: 'publish|unpublish|deprecate|undeprecate|owner|access|token|login|logout|adduser|add-user|dist-tag|star|hook|org|team|profile|trust|npm publish|npm login|npm tag|stage',
        unless: /--dry-run|^(ls|list)\b/,
      },
      { programs: 'cargo', sub: 'publish|yank|owner|login|logout', unless: /--dry-run/ },
      { programs: 'cargo', sub: 'release', options: '--execute -x' },
      {
        programs: 'twine flit hatch maturin poetry uv pdm rye briefcase',
        sub: 'upload|publish|token',
      },
      { programs: 'gem', sub: 'push|yank|owner|signin' },
      {
        programs: 'python',
        line: /\b(twine upload|setup\.py (.* )?(upload|register)|-m (build --upload|flit publish))\b/,
      },
      {
        programs: 'mvn mvnw gradle gradlew sbt mill lein',
        line: /(^|[ :])(deploy|publish\w*|release:perform|release|uploadArchives|sonatype\w*|closeAndRelease\w*)( |$)/,
      },
      { programs: 'dotnet nuget', line: /\bpush\b/ },
      {
        programs: 'docker podman nerdctl buildah',
        sub: 'push|login|image push|manifest push|compose push|trust|plugin push',
      },
      {
        programs: 'docker podman',
        sub: 'build|buildx build|compose build|buildx bake',
        options: '--push',
      },
      { programs: 'docker-compose', sub: 'push' },
      { programs: 'helm skaffold', sub: 'push|run|deploy|registry' },
      { programs: 'pod', sub: 'trunk' },
      { programs: 'mix', line: /^hex\.(publish|owner|user|organization)/ },
      { programs: 'dart flutter', sub: 'pub publish|pub token' },
      { programs: 'luarocks opam shards nimble conan vcpkg conda', sub: 'upload|publish' },
      {
        programs:
          'vsce ovsx semantic-release release-it np lerna changeset nx turbo goreleaser jreleaser auto standard-version',
        line: /^(publish|release|\.)?( |$)/,
        unless:
          /--dry-run|^(run|build|test|init|add|status|version|list|changed|graph|affected)|^\s*$/,
      },
      {
        programs: 'semantic-release release-it np goreleaser',
        unless: /--dry-run|--help|--version|check|build/,
      },
      {
        programs: 'npx',
        line: /^(-y |--yes )?(semantic-release|release-it|np(?=[@ ]|$)|vsce|ovsx|gh-pages|surge|lerna publish|changeset publish|netlify deploy|vercel( |$)|wrangler (deploy|publish)|firebase deploy)/,
      },
      {
        programs: 'gh-pages surge now deployctl cap capistrano dpl fastlane eas',
        unless: /^(--version|--help|help|list|lanes|test|run (tests|test))/,
      },
      {
        programs: 'wandb mlflow huggingface-cli hf',
        sub: 'login|upload|sync|artifact put|repo|repo-files',
      },
    ],
  },
  {
    id: 'package-source',
    risk: 'high',
    reason: 'takes code from a place that is no registry, or from another registry',
    uses: [
      {
        programs: 'pip pipx uv poetry pdm pipenv conda mamba',
        options: sourceOptions,
        line: /(^| )(install|add|download|sync|tool|run|wheel|create|inject)( |$)/,
        unless:
          /--(index-url|extra-index-url|find-links)[ =]https:\/\/(pypi\.org|download\.pytorch\.org|data\.pyg\.org|test\.pypi\.org)\/\S*( --\S+)*$| -f \S*\.(txt|ya?ml)( |$)/,
      },
      { programs: 'pip pipx uv poetry pdm pipenv', line: fromElsewhere },
      {
        programs: 'npm pnpm yarn bun npx pnpx bunx',
        options: '--registry --userconfig --globalconfig --script-shell --node-options --shell',
      },
      {
        programs: 'npm pnpm yarn bun',
        sub: 'i|install|add|in|exec|x|dlx|create|init|update',
        line: fromElsewhere,
      },
      {
        programs: 'npx pnpx bunx',
        line: /(^| )(https?:|git|github:|file:|[\w-]+\/[\w-]+($| |#)|\/|\.\.?\/)/,
        unless: /^\S+ |^-(y|-yes) \S+ /,
      },
      {
        programs: 'gem bundle',
        sub: 'install|i|sources|config|source',
        options: '--source --clear-sources -s -a -P --add --mirror',
      },
      {
        programs: 'cargo',
        sub: 'install|add',
        options: '--git --registry --index --path',
        unless: /--path \.?[\w./-]*$/,
      },
      {
        programs: 'go',
        sub: 'run|install|get',
        line: /^(-\S+ )*[\w-]+\.[\w.-]+\/\S+/,
        unless:
          /^(-\S+ )*(golang\.org|google\.golang\.org|k8s\.io|honnef\.co|mvdan\.cc|go\.uber\.org|github\.com|gorm\.io|gopkg\.in)\//,
      },
      {
        programs: 'deno',
        sub: 'run|eval|install|test|cache|x|serve',
        line: /(^| )(https?:|npm:|jsr:)/,
      },
      {
        programs: 'apt apt-get',
        options:
          '-o --option --allow-unauthenticated --force-yes --allow-insecure-repositories -c --config-file',
      },
      {
        programs: 'apt apt-get dnf yum zypper apk dpkg rpm',
        line: /(^| )(install|-i|-U|localinstall|add|in|reinstall) (\S+ )*(\.?\.?\/\S+|https?:\S+|\S+\.(deb|rpm|apk))( |$)|--allow-untrusted|--nogpgcheck/,
      },
      {
        programs: 'dpkg rpm',
        options:
          '-i --install -U --upgrade -e --erase -r --remove -P --purge --force-all --unpack --configure --import',
      },
      {
        programs: 'brew',
        sub: 'tap|install',
        line: /https?:|\//,
        unless:
          /^(homebrew|hashicorp|mongodb|aws|github|oven-sh|stripe|heroku|azure|supabase)\/\S+$/,
      },
      { programs: 'snap', options: '--dangerous --classic --devmode' },
      { programs: 'add-apt-repository apt-key apt-add-repository dnf-config-manager' },
      {
        programs: 'composer',
        sub: 'config|global',
        line: /repositories|secure-http|disable-tls|home|bin-dir/,
      },
      { programs: 'code cursor codium', options: '--install-extension' },
      { programs: 'docker podman', sub: 'load|import|plugin install', line: /https?:/ },
      { programs: 'cpanm luarocks', line: /https?:/ },
      { programs: 'opam raku stack', line: /https?:/ },
    ],
  },
  {
    id: 'package-settings',
    risk: 'high',
    reason: 'changes where packages come from, or what runs when they are installed',
    uses: [
      {
        programs: 'npm pnpm yarn bun',
        sub: 'config set|config delete|config edit|config fix|c set|set|config rm|config unset',
        unless:
          /^(fund|audit|loglevel|progress|save-exact|save-prefix|legacy-peer-deps|engine-strict|update-notifier|init-\w+|enableTelemetry|nodeLinker)\b/,
      },
      {
        programs: 'pip poetry uv conda pdm',
        sub: 'config set|config edit|config|config --set|config --add',
        unless:
          /^(list|get|debug|--list|--show\S*|--local --list|virtualenvs\.\S+ \S+|--get \S+|--validate)\b/,
      },
      { programs: 'cargo', head: /--config/ },
      { programs: 'npm', sub: 'set-script|pkg set', line: /(pre|post)?install|prepare/ },
      {
        programs: 'go',
        sub: 'env',
        line: /-w (GOFLAGS|GOPROXY|GONOSUM\w*|GOSUMDB|CC|CXX|GOINSECURE|GONOSUMCHECK)/,
      },
      { programs: 'go', line: /-(toolexec|exec|overlay|modfile|vettool)[= ]|-ldflags\S* .*-extld/ },
      { programs: 'composer', sub: 'run-script|exec', line: /https?:/ },
    ],
  },
];
