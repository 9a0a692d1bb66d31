/**
 * A program of many subcommands, of which some are everyday work. What is in neither list is rated high, and so is an
 * option before the subcommand that is not known: it may take the next word.
 */
export interface Guarded {
  programs: string;
  id: string;
  reason: string;
  /** Options before or between the subcommand's words that take the next word. */
  valued?: string;
  /** Other options that may stand before the subcommand. */
  plain?: string;
  /** Against the subcommand's words, joined by a blank: only looks. */
  low?: RegExp;
  /** Changes what can be made again. */
  medium?: RegExp;
  /** An option by which nothing is changed but said. */
  dry?: RegExp;
}

const looks =
  '(ls|list|get|show|describe|view|status|info|inspect|log|logs|version|help|whoami|diff|explain|search|history|check|validate|lint|completion|outdated|tree|cat|graph)';

export const guarded: readonly Guarded[] = [
  {
    programs: 'git',
    id: 'git-unusual',
    reason: 'a Git subcommand beyond everyday work',
    valued: '-C -c --git-dir --work-tree --namespace --config-env',
    plain:
      '--no-pager -P -p --paginate --bare --no-optional-locks --literal-pathspecs --no-replace-objects --version --help -h -v --glob-pathspecs --icase-pathspecs',
    low: /^$|^(status|diff|log|show|blame|annotate|grep|rev-parse|rev-list|ls-files|ls-tree|ls-remote|cat-file|describe|shortlog|reflog( show.*)?|name-rev|merge-base|merge-tree|cherry|count-objects|help|version|whatchanged|range-diff|diff-tree|diff-files|diff-index|for-each-ref|show-ref|show-branch|check-ignore|check-attr|check-ref-format|var|verify-commit|verify-tag|fsck|column|symbolic-ref|stripspace|patch-id|hash-object|get-tar-commit-id|request-pull|interpret-trailers|mktree|lfs (ls-files|status|env|track)|bugreport)\b/,
    medium:
      /^(add|commit|checkout|switch|restore|branch|tag|fetch|pull|push|clone|init|merge|rebase|cherry-pick|revert|reset|stash|rm|mv|clean|worktree|submodule|remote|config|apply|am|format-patch|bisect|notes|archive|bundle|sparse-checkout|mergetool|difftool|gc|prune|repack|lfs|flow|subtree|maintenance|update-index|write-tree|commit-tree|read-tree|pack-refs|rerere|citool|gui|sh-i18n|commit-graph|multi-pack-index|stage)\b/,
  },
  {
    programs: 'gh hub',
    id: 'forge-change',
    reason: 'changes or reveals something on the forge that a call cannot take back',
    valued: '-R --repo --hostname',
    plain: '--help --version -h',
    low: /^$|^(help|version|status|browse|search\b.*|completion|(pr|issue|repo|run|release|workflow|gist|label|project|ruleset|cache|extension|codespace|milestone|discussion|org|ssh-key|gpg-key|variable|attestation) (list|view|status|diff|checks|watch|verify|ls|download)|auth status|api|config (get|list)|pr$)\b/,
    medium:
      /^((pr|issue) (create|comment|review|checkout|edit|ready|reopen|develop|co|status|update-branch|lock|pin|unpin)|repo (clone|fork|set-default|sync)|run (rerun|cancel)|label (create|edit)|project item-add)\b/,
  },
  {
    programs: 'glab',
    id: 'forge-change',
    reason: 'changes or reveals something on the forge that a call cannot take back',
    valued: '-R --repo',
    low: /^$|^(help|version|(mr|issue|ci|pipeline|release|repo|label|job|schedule|snippet) (list|view|status|diff|trace|get|show)|auth status)\b/,
    medium: /^((mr|issue) (create|note|checkout|update)|repo (clone|fork))\b/,
  },
  {
    programs: 'docker podman nerdctl',
    id: 'container-change',
    reason: 'removes, publishes or rules containers beyond everyday work',
    valued:
      '--context -c -H --host -l --log-level --config -f --file -p --project-name --profile --env-file --project-directory',
    plain: '-D --debug -v --version --help',
    low: /^$|^(help|version|info|ps|images|logs|inspect|top|stats|port|diff|history|events|search|wait|(image|container|volume|network|system|context|buildx|builder|compose|manifest|plugin|stack|service|node) (ls|list|ps|inspect|logs|history|df|info|events|images|config|version|top|port|show|stats|du|ls-remote|convert)|image history|compose$|compose version|buildx$)\b/,
    medium:
      /^(build|run|create|start|stop|restart|pause|unpause|kill|pull|tag|rm|rmi|exec|cp|commit|save|load|attach|rename|update|export|import|compose (up|down|build|pull|start|stop|restart|run|exec|create|rm|kill|watch|pause|unpause|cp|attach|wait)|buildx (build|bake|create|use)|image (build|pull|tag|rm|prune|save|load)|container (rm|run|start|stop|restart|prune|exec|create|cp|kill)|network (create|rm|connect|disconnect|prune)|volume create|builder (build|prune)|machine (start|stop|list|init))\b/,
  },
  {
    programs: 'docker-compose podman-compose',
    id: 'container-change',
    reason: 'removes, publishes or rules containers beyond everyday work',
    valued: '-f --file -p --project-name --profile --env-file --project-directory',
    plain: '--verbose -v --version --help',
    low: /^$|^(ps|logs|config|images|top|port|version|help|events|ls)\b/,
    medium: /^(up|down|build|pull|start|stop|restart|run|exec|create|rm|kill|pause|unpause)\b/,
  },
  {
    programs: 'kubectl oc k k3s microk8s',
    id: 'cluster-change',
    reason: 'changes a cluster, runs in it, or reads its secrets',
    valued:
      '-n --namespace --context --cluster --kubeconfig -l --selector -o --output --user --request-timeout',
    plain: '-A --all-namespaces --help -h -v',
    low: /^$|^(kubectl )?(get|describe|logs|top|version|explain|api-resources|api-versions|cluster-info|diff|events|wait|kustomize|completion|options|help|config (view|get-contexts|current-context|get-clusters)|rollout (status|history)|auth (can-i|whoami)|plugin list)\b(?!.*\b(secrets?|tokens?)\b)/,
    dry: /^--dry-run(=(client|server))?$/,
    medium: /^(port-forward|config (use-context|set-context))\b/,
  },
  {
    programs: 'helm',
    id: 'cluster-change',
    reason: 'changes a cluster, runs in it, or reads its secrets',
    valued: '-n --namespace --kube-context --kubeconfig',
    low: /^$|^(list|ls|status|history|get (manifest|notes|hooks)|show|search|template|lint|version|env|help|dependency list|repo list|verify)\b/,
    medium:
      /^(repo (add|update)|pull|dependency (update|build)|create|package|dep (up|update|build))\b/,
  },
  {
    programs: 'kind minikube k3d colima limactl multipass vagrant',
    id: 'machine-change',
    reason: 'removes a virtual machine or cluster, or runs in it',
    low: /^$|^(version|help|list|status|get|logs|profile list|info|ssh-config|global-status|ip|service list|dashboard|cluster list|node list|addons list|validate)\b/,
    medium:
      /^(create|start|stop|up|halt|init|load|suspend|resume|launch|cluster (create|start|stop)|image (load|import|build|ls)|addons enable|provision|reload)\b/,
  },
  {
    programs: 'terraform tofu terragrunt',
    id: 'infrastructure-change',
    reason: 'changes or removes infrastructure, or its state',
    plain: '-version --version -v -help --help -h',
    low: /^$|^(version|help|validate|plan|show|output|graph|providers|fmt|state (list|show)|workspace (list|show)|metadata|run-all (plan|validate|output)|get)\b/,
    medium: /^(init|workspace (select|new)|test)\b/,
  },
  {
    programs:
      'pulumi cdk cdktf cdk8s sam serverless sls copilot eb amplify chalice zappa nomad consul vault packer waypoint boundary ansible ansible-playbook ansible-galaxy ansible-vault ansible-pull ansible-inventory salt puppet chef knife',
    id: 'infrastructure-change',
    reason: 'changes or removes infrastructure, or its state',
    plain: '--version --help -h -v',
    low: /^$|^(version|help|preview|synth|diff|ls|list|validate|build|local|logs|stack (ls|output)|whoami|about|doctor|info|status|fmt|inspect|package|print)\b/,
    medium: /^(init|install|new|login --local)\b/,
  },
  {
    programs: 'aws awslocal',
    id: 'cloud-change',
    reason: 'changes something in the cloud, or reads secrets there',
    valued:
      '--profile --region --output --query --endpoint-url --color --cli-read-timeout --cli-connect-timeout',
    plain: '--no-cli-pager --debug --no-paginate --no-sign-request --no-verify-ssl --version',
    low: /^$|^(help|s3 (ls|presign)|configure (list|get region|list-profiles)|logs (tail|filter-log-events|get-log-events)|sts get-caller-identity|cloudformation (validate-template|list\b|describe|get-template)|[\w-]+ (describe|list|get|wait|help|head|scan|query|batch-get|lookup|filter|search)(-(?!(secret|password|session-token|login|credential|parameter|federation|ssh|access-key|random-password|authorization-token|object$|caller-identity-token))[\w-]+|\b))\b(?!.*(with-decryption))/,
  },
  {
    programs:
      'gcloud gsutil bq az doctl heroku fly flyctl vercel netlify wrangler firebase railway render supabase planetscale pscale neonctl turso linode-cli hcloud scw oci ibmcloud cf eksctl aliyun tccli s3cmd mc rclone b2 azcopy stripe twilio shopify ngrok cloudflared tailscale databricks snowsql snow sentry-cli codecov datadog-ci newrelic okta auth0 mongocli confluent algolia eas appcenter',
    id: 'cloud-change',
    reason: 'changes something in the cloud, or reads secrets there',
    valued:
      '--project --account --region --zone --format -a --app -o --output --subscription -g --resource-group',
    plain: '-q --quiet --version --help -h -v',
    low: new RegExp(
      `^$|^(?!.*\\b(delete|remove|destroy|rm|create|update|set|unset|reset|add|restart|deploy|publish|push|apply|import|export|run|exec|put|write|purge|drop|scale|promote|transfer|rollback|up|down|kill|enable|disable|invoke|execute|ssh|login|token|secrets?|keys?|credentials?|passwords?)\\b)(${looks}|ps|dev|env ls|(releases|regions|deployments|apps|services|projects)$|auth list|config list)\\b|^(?!.*\\b(delete|remove|destroy|create|update|reset|deploy|secrets?|tokens?|keys?|credentials?|passwords?)\\b)[a-z][\\w-]*( [\\w-]+){0,2} (list|show|describe|view|ls|logs|status|info|read|tail)\\b`,
    ),
    medium: /^(init|build|link|dev|listen|emulators:start|start|serve|gen types|db (diff|start))\b/,
  },
  {
    programs: 'npm',
    id: 'package-change',
    reason: 'publishes packages, changes who may, or changes where packages come from',
    valued: '--prefix -C -w --workspace --registry --loglevel --userconfig --cache --tag',
    plain:
      '-s --silent -q --quiet --workspaces -ws --if-present -g --global --version -v --help -h -y --yes --legacy-peer-deps --force -f --verbose -d --no-audit --no-fund --include-workspace-root --offline --prefer-offline --ignore-scripts',
    dry: /^--dry-run$/,
    low: /^$|^(ls|list|la|ll|view|info|show|v|outdated|audit|search|help|explain|why|fund|root|prefix|bin|ping|pkg get|query|find-dupes|doctor|docs|repo|bugs|home|config (get|list|ls)|whoami|team ls|access list|dist-tag ls|owner ls|diff|completion|get|help-search|audit signatures)\b/,
    medium:
      /^(ci|i|install|add|in|isntall|clean-install|install-test|it|cit|run|run-script|rum|test|t|tst|start|stop|restart|exec|x|init|create|innit|update|up|upgrade|uninstall|un|rm|r|remove|dedupe|ddp|rebuild|rb|prune|link|ln|version|pack|cache (verify|ls|clean)|pkg (set|delete|fix)|set-script|shrinkwrap|audit fix|sbom|install-ci-test|approve-scripts)\b/,
  },
  {
    programs: 'pnpm yarn bun',
    id: 'package-change',
    reason: 'publishes packages, changes who may, or changes where packages come from',
    valued: '-C --dir -F --filter --cwd --reporter --loglevel -w',
    plain:
      '-r --recursive -w --workspace-root --silent -s --version -v --help -h --parallel --if-present --stream --watch --hot --bun --smol -g --verbose --offline --frozen-lockfile --immutable',
    low: /^$|^(ls|list|ll|la|why|outdated|audit|info|view|licenses|root|bin|help|config (get|list)|doctor|explain|versions|npm info|store (path|status)|pm (ls|bin|hash|cache))\b/,
    // What is no subcommand of theirs is a script of the project.
    medium: /^/,
  },
  {
    programs: 'cargo',
    id: 'package-change',
    reason: 'publishes packages, changes who may, or changes where packages come from',
    valued: '--color -Z --config -C',
    plain: '-q --quiet -v --verbose --version -V --help -h --locked --offline --frozen --list',
    dry: /^(--dry-run|-n)$/,
    low: /^$|^(\+[\w.-]+ )?(tree|metadata|search|info|version|help|locate-project|pkgid|verify-project|read-manifest|audit|outdated|deny|machete|udeps|geiger|semver-checks|expand|llvm-lines|bloat|asm|about)\b/,
    medium:
      /^(\+[\w.-]+ )?(build|b|check|c|test|t|run|r|bench|doc|d|rustdoc|fmt|clippy|fix|clean|add|remove|rm|update|upgrade|generate-lockfile|fetch|vendor|init|new|install|nextest|llvm-cov|tarpaulin|watch|insta|make|leptos|tauri|lambda|component|wasi|hack|flamegraph|criterion|miri|careful|mutants|fuzz|sort|package|rustc|generate|ndk|xtask|sqlx|release --dry-run|shuttle|dist|binstall|zigbuild|set-version|msrv|profdata|cov|sweep|cache|rail)\b/,
  },
  {
    programs: 'systemctl service',
    id: 'service-change',
    reason: 'starts, stops or changes services of the machine',
    plain:
      '--user --no-pager --all -a --system --failed --version -l --full --plain --no-legend --quiet -q --type --state',
    low: /^$|^(status|is-active|is-enabled|is-failed|list-units|list-unit-files|list-timers|list-dependencies|show|cat|help|get-default|--status-all|[\w@.-]+ status)\b/,
  },
  {
    programs: 'launchctl',
    id: 'service-change',
    reason: 'starts, stops or changes services of the machine',
    low: /^(list|print|help|version)\b/,
  },
  {
    programs: 'ip ifconfig route arp nmcli networksetup',
    id: 'network-change',
    reason: 'changes how this machine reaches others',
    plain: '-br -brief -4 -6 -c -color -j -json -s -d -a -n',
    low: /^$|^((a|addr|address|l|link|r|route|n|neigh|neighbour|rule|maddr|netns)( (show|list|ls|get).*)?|\w+\d+|lo|-a|-n|device( status)?|connection show|general|-listallhardwareports)$/,
  },
  {
    programs: 'sysctl',
    id: 'kernel-change',
    reason: 'changes the running kernel',
    plain: '-n -a -e',
    low: /^[\w.]*$/,
  },
  {
    programs: 'hostnamectl timedatectl localectl loginctl',
    id: 'machine-change',
    reason: 'changes settings of the machine',
    low: /^$|^(status|show|list[\w-]*)$/,
  },
  {
    programs: 'openssl',
    id: 'crypto-unusual',
    reason: 'opens a connection, or makes a private key readable',
    low: /^$|^(version|rand|dgst|x509|verify|help|list|asn1parse|sha\d+|md5|prime|speed|ciphers|crl|errstr|passwd)\b/,
    medium: /^(req|genrsa|genpkey|ecparam|enc|base64|dhparam|ca)\b/,
  },
  {
    programs: 'gpg gpg2',
    id: 'crypto-unusual',
    reason: 'opens a connection, or makes a private key readable',
    plain:
      '--verify --version --list-keys -k --fingerprint --batch --print-md --with-colons --list-packets --help --dearmor --no-tty --keyid-format',
    low: /^/,
  },
  {
    programs: 'brew port',
    id: 'package-remove',
    reason: 'removes programs of the machine, or adds sources for them',
    plain: '-v -q --version --help --prefix --cellar',
    low: /^$|^(list|ls|info|search|outdated|deps|uses|leaves|config|doctor|home|desc|log|cat|help|--prefix.*|services( list)?|installed)\b/,
    medium: /^(install|update|upgrade|reinstall|cleanup|fetch|link|unlink|pin|bundle|tap)\b/,
  },
  {
    programs: 'apt apt-get apt-cache apt-mark aptitude dnf yum apk zypper snap flatpak',
    id: 'package-remove',
    reason: 'removes programs of the machine, or adds sources for them',
    plain:
      '-y --yes -q -qq -qqq --quiet --no-install-recommends -f --version --assume-yes -U --no-cache --update --update-cache -u --allow-downgrades  -n --non-interactive --installed --no-progress -V',
    valued: '-t --target-release',
    low: /^$|^(list|update|show|search|policy|info|depends|rdepends|madison|pkgnames|showpkg|repolist|help|provides|changelog|showhold|showmanual|find|check-update|check|files|versions|dump|stats)\b/,
    medium:
      /^(install|upgrade|add|reinstall|build-dep|download|source|autoclean|clean|makecache|refresh|fix|groupinstall|local-?install|in|ref|up|satisfy|builddep|hold)\b/,
  },
  {
    programs: 'pacman yay paru',
    id: 'package-remove',
    reason: 'removes programs of the machine, or adds sources for them',
    plain: '-S -y -u -s -i -l -Q -q --noconfirm --needed --noprogressbar --version',
    medium: /^/,
  },
  {
    programs: 'dpkg dpkg-query rpm',
    id: 'package-remove',
    reason: 'removes programs of the machine, or adds sources for them',
    plain:
      '-l -L -s -S -W -p -c -I -q --list --listfiles --status --search --show --version --print-architecture --get-selections --contents --info -q -qa -qi -ql -qf -f -qR -qp --query -V --all --whatprovides --audit -a -R --showformat',
    low: /^/,
  },
  {
    programs: 'rustup nvm fnm n volta pyenv rbenv asdf mise corepack sdk jenv nodenv goenv tfenv',
    id: 'toolchain-unusual',
    reason: 'a subcommand beyond choosing versions',
    plain: '--version -v --help -h -q',
    low: /^$|^(list|ls|ls-remote|list-remote|current|show|which|version|versions|help|where|doctor|check|toolchain list|target list|component list|plugin list|default|root|env|latest|global|local|alias|prefix)\b/,
    medium:
      /^(install|use|update|upgrade|add|pin|exec|run|rehash|shell|enable|disable|prepare|toolchain (install|add|link)|target add|component add|plugin (add|update)|override set|reshim|init|activate|trust|set|lts|latest|stable|\d[\d.]*)\b/,
  },
  {
    programs: 'gem',
    id: 'package-change',
    reason: 'publishes packages, changes who may, or changes where packages come from',
    plain: '--version -v --help',
    low: /^$|^(list|search|info|environment|env|help|outdated|which|contents|dependency|specification|query|stale|check)\b/,
    medium: /^(install|update|uninstall|build|cleanup|pristine|fetch|unpack|i)\b/,
  },
  {
    programs: 'security',
    id: 'keychain',
    reason: 'reads or changes the keychain',
    low: /^(help|list-keychains|find-identity)\b/,
  },
  {
    programs: 'ollama huggingface-cli hf',
    id: 'model-change',
    reason: 'publishes or removes models',
    low: /^$|^(list|ls|show|ps|whoami|env|version|help|scan-cache|auth whoami)\b/,
    medium: /^(run|pull|serve|download|create|stop)\b/,
  },
];
