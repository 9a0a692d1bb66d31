import type { Risk } from '../risk.js';

/** What a program does with the paths among its words. */
export type Paths =
  | 'none' // its words are no paths
  | 'list' // it tells what is there
  | 'read' // it reads them
  | 'use' // it reads them, and shows nothing of what is in them
  | 'search' // the first is what to look for, the others are read
  | 'write' // it makes or changes them
  | 'copy'; // it reads all but the last, and writes that

export interface Program {
  risk: Risk;
  paths: Paths;
}

interface Group extends Program {
  programs: string;
}

/**
 * The programs of everyday work, by what they do when no rule says more. A program that is not here is rated high:
 * nobody can tell what it does.
 */
const groups: readonly Group[] = [
  {
    risk: 'low',
    paths: 'none',
    programs: `
      echo printf true false : pwd date cal ncal sleep seq yes uname hostname whoami id groups uptime arch nproc tty
      locale getconf expr bc dc factor numfmt tput clear reset jobs wait fg bg return exit break continue shift set
      unset shopt ulimit times type which whereis hash let local declare typeset export readonly read mapfile
      readarray getopts caller logout users who w last free vmstat iostat mpstat lscpu lsblk lsusb lspci lsmod lsb_release
      ps pgrep pidof pstree top htop btop man info help apropos whatis history tr basename dirname disown umask
      pwdx sw_vers xcode-select figlet cowsay tldr cheat neofetch fastfetch dircolors uuidgen
      ping ping6 traceroute tracepath dig host nslookup getent printenv env time exec command builtin alias unalias
      trap cd pushd popd dirs suspend enable bind complete compgen ss netstat journalctl dmesg sysinfo`,
  },
  {
    risk: 'low',
    paths: 'read',
    programs: `
      cat tac nl head tail wc sort uniq cut paste fold fmt column rev od xxd hexdump strings cmp diff sdiff comm join
      colordiff icdiff delta difft md5 md5sum sha1sum sha224sum sha256sum sha384sum sha512sum shasum b2sum b3sum cksum
      sum less more most bat batcat zcat zless bzcat xzcat zstdcat lzcat jq jaq gojq yq xq tomlq dasel gron fx jless
      jsonlint json5 csvcut csvlook csvstat csvgrep csvjson in2csv mlr qsv xsv iconv base64 base32 basenc nm objdump
      readelf size otool look expand unexpand pr tsort ptx shuf identify exiftool mediainfo ffprobe pdftotext
      pdfinfo pandoc xmllint tidy hexyl zipinfo cloc tokei scc loc sloccount wdiff vimdiff diffstat xsltproc
      glow mdcat rich jc bible dot plantuml mmdc graph-easy ccze
      md5deep zipdetails plutil strings c++filt addr2line ar readlink `,
  },
  {
    risk: 'low',
    paths: 'list',
    programs: `
      ls ll la l dir vdir tree stat file du df ncdu dust duf find gfind fd fdfind locate exa eza lsd realpath test [ [[
      lsof fuser pathchk namei findmnt mountpoint getfacl lsattr`,
  },
  {
    risk: 'low',
    paths: 'search',
    programs: `grep egrep fgrep zgrep bzgrep xzgrep rg rga ag ack ugrep ug git-grep ast-grep sg semgrep comby`,
  },
  { risk: 'medium', paths: 'none', programs: 'kill pkill killall' },
  {
    risk: 'medium',
    paths: 'write',
    programs: `
      mkdir touch tee truncate split csplit mktemp install dos2unix unix2dos chmod chgrp chown rmdir rm unlink mkfifo
      patch gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lz4 compress uncompress pigz sponge rename
      sed gsed ed zip 7z 7za 7zr jar cpio ex trash trash-put setfacl wget2 ctags cscope dd shred`,
  },
  { risk: 'medium', paths: 'copy', programs: 'cp mv ln rsync gcp gmv link pax' },
  {
    risk: 'medium',
    paths: 'read',
    programs: 'tar gtar bsdtar unzip unrar unar awk gawk mawk nawk',
  },
  {
    risk: 'medium',
    paths: 'use',
    programs: `
      sudo doas source . make gmake cmake ctest cpack ninja samu meson autoconf automake autoreconf aclocal autoheader libtoolize
      pkg-config configure gcc g++ cc c++ clang clang++ clang-format clang-tidy clangd ld lld ranlib as nasm yasm
      ccache sccache distcc bear cppcheck iwyu gcov lcov gprof strip objcopy ldd
      rustc cargo rustup rustfmt clippy-driver cargo-clippy cargo-fmt cross wasm-pack wasm-bindgen trunk cbindgen
      go gofmt goimports golangci-lint staticcheck gopls gotestsum ginkgo mockgen buf protoc protoc-gen-go air templ sqlc
      javac java javap kotlinc kotlin scalac scala mvn mvnw gradle gradlew ant sbt mill bazel bazelisk buck2 pants
      dotnet msbuild nuget csc fsc mono
      npm npx pnpm pnpx yarn bun bunx corepack nvm fnm n volta deno node nodejs tsc tsgo ts-node tsx swc esbuild vite vitest
      webpack webpack-cli rollup rolldown tsup tsdown unbuild microbundle ncc parcel turbo nx lerna rush wireit next
      nuxt nuxi astro svelte-kit svelte-check remix gatsby ng vue vue-tsc vue-cli-service react-scripts expo
      react-native metro ionic cap electron electron-builder electron-forge tauri storybook sb start-storybook jest mocha ava tap
      jasmine karma playwright cypress testcafe wdio puppeteer nightwatch c8 nyc eslint eslint_d prettier prettierd
      biome oxlint oxfmt dprint stylelint standard xo tslint rome markdownlint markdownlint-cli2 remark textlint
      cspell alex husky lint-staged commitlint cz changeset semantic-release-dry typedoc jsdoc knip depcheck madge
      npm-check-updates ncu npm-check syncpack sort-package-json publint attw size-limit bundlesize lighthouse
      serve http-server live-server json-server nodemon concurrently npm-run-all run-s run-p wait-on
      rimraf cpy mkdirp tailwindcss postcss sass less-compiler lessc graphql-codegen openapi-generator-cli openapi-typescript
      prisma drizzle-kit typeorm sequelize sequelize-cli knex mikro-orm hardhat forge anvil cast solc truffle
      create-react-app create-next-app create-vite create-vue degit tiged giget plop hygen yo tsd msw
      @biomejs/biome @angular/cli @nestjs/cli @changesets/cli @playwright/test @tailwindcss/cli @vue/cli
      @arethetypeswrong/cli @redocly/cli @openapitools/openapi-generator-cli @stoplight/spectral-cli @remix-run/dev
      @sveltejs/kit @swc/cli @babel/cli @graphql-codegen/cli @typescript-eslint/parser @modelcontextprotocol/inspector
      @storybook/cli @expo/cli @sentry/wizard @tanstack/router-cli @microsoft/api-extractor @prisma/cli shadcn shadcn-ui
      nest spectral redocly babel sv jscodeshift codemod ts-prune ts-unused-exports type-coverage license-checker
      python pypy python2 pip pipx pipenv poetry uv uvx rye pdm hatch flit tox nox pytest py.test unittest
      coverage mypy dmypy pyright basedpyright pyre ty ruff black isort flake8 pylint pycodestyle pydocstyle pyflakes
      bandit safety pip-audit pre-commit autopep8 yapf autoflake pyupgrade vulture radon interrogate codespell
      sphinx-build sphinx-quickstart mkdocs jupyter jupytext nbconvert papermill nbstripout ipython conda mamba
      micromamba virtualenv pyenv django-admin flask uvicorn gunicorn hypercorn celery alembic streamlit gradio
      fastapi invoke inv cookiecutter copier cruft scrapy kedro dvc mlflow tensorboard wandb accelerate torchrun
      deepspeed pip-compile pip-sync briefcase pyinstaller cython cythonize maturin dbt sqlfluff great_expectations
      ruby gem bundle bundler rake rails rspec rubocop erb irb standardrb brakeman sorbet srb steep rbenv
      php composer phpunit pest phpstan psalm pint php-cs-fixer phpcs phpcbf artisan rector symfony
      perl prove perltidy perlcritic cpanm lua luac luacheck luarocks stylua busted elixir mix erl erlc rebar3 iex gleam
      swift swiftc swiftlint swiftformat swift-format xcodebuild xcrun xcbeautify pod carthage fastlane tuist
      zig zls stack cabal ghc hlint ormolu fourmolu ocaml ocamlc opam dune julia Rscript R nim nimble crystal shards
      dart flutter pub melos clj clojure lein bb v odin groovy raku racket guile sbcl elm elm-test purs spago
      docker-compose dive hadolint buildah skaffold kompose
      shellcheck shfmt bats bashate actionlint yamllint ansible-lint tflint tfsec checkov trivy grype syft
      terraform-docs jsonnet cue dhall opa conftest kubeval kubeconform kustomize
      just task mage tilt act pre-commit overcommit lefthook direnv asdf mise devbox
      sqlite3 duckdb createdb psql pg_isready pg_dump mysql mysqldump mariadb mongosh redis-cli clickhouse-client mysqladmin
      ffmpeg convert magick montage mogrify cwebp optipng pngquant svgo gifsicle inkscape sox lame
      latexmk pdflatex xelatex lualatex bibtex typst hugo jekyll eleventy zola mdbook vitepress docusaurus vuepress
      latex biber makeindex asciidoctor
      aider code cursor subl open xdg-open
      ab wrk hey k6 autocannon vegeta oha locust hyperfine
      gdb lldb strace ltrace valgrind perf addr2line heaptrack samply py-spy
      apt apt-get apt-cache dpkg dpkg-query brew dnf yum rpm apk pacman zypper port snap flatpak
      xvfb-run nohup setsid nice ionice stdbuf timeout gtimeout watch entr xargs parallel script taskset
      unbuffer chronic caffeinate fakeroot flock cross-env dotenv env-cmd
      swagger-cli nvidia-smi gitleaks trufflehog renovate-config-validator lychee vale flyway liquibase goose dbmate
      migrate wire mockery ent skeema sqlx diesel sea-orm-cli golines gofumpt revive errcheck gosec govulncheck dlv ko
      counterfeiter oapi-codegen pyinstrument scalene memray kernprof snakeviz pdoc pydoc towncrier bumpversion
      bump2version bump-my-version semver git-cliff conventional-changelog auto-changelog ts-json-schema-generator
      quicktype json2ts graphql-inspector rspack rsbuild wasm-opt wasm2wat wat2wasm wasmtime wasmer node-gyp prebuildify
      electron-rebuild cmake-format cmake-lint platformio pio arduino-cli west quarto coursier scalafmt ktlint detekt
      google-java-format checkstyle spotbugs pmd swiftgen xcodegen mint csharpier fantomas paket selene ameba
      stylish-haskell elm-review rescript nickel tree-sitter watchexec reflex fswatch inotifywait chokidar redis-server
      gs jpegoptim jpegtran qpdf pdftoppm tesseract chktex aspell hunspell typos misspell proselint write-good licensee
      scancode nix nix-build nix-instantiate nixfmt alejandra statix deadnix tsgolint api-extractor type-fest
      lefthook gitlint commitizen pytest-watch ptw jest-cli react-devtools bundle-audit brakeman steep rubycritic
      phpmd infection deptrac phan psalm-plugin laravel valet sail craft drush wp bin/console
      buf-lint spectral dredd newman schemathesis pact locust artillery vegeta siege
      allure cucumber behave robot nosetests nose2 ward green stestr zx tsm kcov bats-core shunit2 shellspec
      adb emulator avdmanager idevice_id simctl
      gatebook`,
  },
];

const programs = new Map<string, Program>();
for (const { programs: names, risk, paths } of groups) {
  for (const name of names.trim().split(/\s+/)) {
    if (!programs.has(name)) programs.set(name, { risk, paths });
  }
}

export function knownProgram(name: string): Program | undefined {
  return programs.get(name);
}
