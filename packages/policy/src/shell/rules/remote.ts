import type { ShellRule } from './rule.js';

const harmfulSql =
  /\b(drop\s+(database|schema|table|user|role|view|index|keyspace|owned|extension|function|trigger|type|sequence|tablespace|all)|truncate\b|delete\s+from\b(?!.{0,300}\bwhere\b.{0,300}[=<>])|delete\s+from\b.{0,300}\bwhere\s+(1\s*=\s*1|true)|update\s+\S+\s+set\b(?!.{0,1000}\bwhere\b)|alter\s+(user|role|system|database|table.{0,300}\bdrop)|grant\b|revoke\b|create\s+(user|role|extension|(or\s+replace\s+)?function)|copy\b.{0,300}\bprogram\b|copy\b.{0,300}\b(to|from)\s+'|into\s+(out|dump)file|load_file|load\s+data|load_extension|lo_(import|export)|pg_(read|ls|write)\w*|xp_cmdshell|sys_(exec|eval)|attach\b|shutdown|flush\s+privileges|set\s+password|kill\s+\d|do\s+\$|pragma\s+writable|writefile|readfile|edit\(|vacuum\s+into)/i;

export const remoteRules: readonly ShellRule[] = [
  {
    id: 'database-harm',
    risk: 'high',
    reason: 'removes data or rights in a database, or reaches files and programs through it',
    uses: [
      {
        programs:
          'psql mysql mariadb sqlite3 duckdb clickhouse-client sqlcmd bq snowsql cqlsh cockroach usql pgcli mycli litecli turso trino presto sqlplus',
        line: harmfulSql,
      },
      {
        programs: 'psql mysql mariadb sqlite3 duckdb usql',
        line: /\\!|\\o\b|\\copy|\\g |\\w |(^| |;|')\.(shell|system|sh|load|output|once|import|save|backup|restore|read|open|excel|log)\b|\bsystem |--init-command|-cmd\b|--pager|--to=|-init\b/,
      },
      {
        programs:
          'dropdb dropuser createuser pg_restore pg_ctl initdb pg_resetwal mongorestore mysqladmin mongodump pg_dumpall',
        unless: /^(--version|--help|status|ping|version|-u\w+ (status|ping|version))/,
      },
      {
        programs: 'redis-cli valkey-cli',
        line: /\b(flush(all|db)|config|eval\w*|script|module|debug|shutdown|slaveof|replicaof|del|unlink|save|bgsave|migrate|acl|restore|function|client kill|swapdb|rename|cluster|failover|bgrewriteaof|monitor|keys \*.*xargs)\b|--eval|--rdb|--pipe|-x\b/i,
        unless: /\b(config get|acl whoami|acl list|client list)\b/i,
      },
      {
        programs: 'mongosh mongo',
        line: /drop|delete|remove|update(One|Many)?\(|replaceOne|insert|createUser|grantRoles|shutdownServer|adminCommand|runCommand|eval\(|require\(|load\(|rename|bulkWrite|fsync|process\.|child_process/,
        unless: /runCommand\(\{? ?["']?ping/,
      },
      {
        programs: 'prisma',
        line: /\b(migrate reset|db push.*--(force-reset|accept-data-loss)|db execute)\b/,
      },
      {
        programs: 'rails rake bin/rails',
        line: /\bdb:(drop|reset|purge|schema:load|migrate:reset|truncate_all|setup|structure:load)|(runner|r) .*(destroy|delete|system|exec|`)/,
      },
      {
        programs: 'php artisan',
        line: /\b(migrate:(fresh|reset|refresh)|db:wipe|doctrine:(database|schema):drop)/,
      },
      {
        programs: 'python django-admin',
        line: /manage\.py (flush|reset_db|sqlflush|dbshell|shell|migrate \S+ zero|loaddata|changepassword|createsuperuser)|^(flush|reset_db|dbshell|shell)\b/,
        unless: /manage\.py shell -c/,
      },
      { programs: 'alembic flask', line: /downgrade|db downgrade/ },
      {
        programs: 'knex sequelize sequelize-cli typeorm drizzle-kit mikro-orm',
        line: /(rollback.*--all|db:drop|db:migrate:undo:all|schema:drop|drop\b|schema:fresh|migration:fresh)/,
      },
      {
        programs: 'npx',
        line: /\b(prisma migrate reset|prisma db push.*--(force-reset|accept-data-loss)|sequelize db:drop|typeorm schema:drop)/,
      },
      { programs: 'dotnet', line: /ef database drop/ },
      { programs: 'mix', line: /ecto\.(drop|reset)/ },
    ],
  },
  {
    id: 'container-escape',
    risk: 'high',
    reason: 'gives a container the rights or the files of the machine',
    uses: [
      {
        programs: 'docker podman nerdctl docker-compose',
        options:
          '--privileged --cap-add --device --security-opt --userns --cgroupns --volumes-from --pid --ipc --uts --cgroup-parent --device-cgroup-rule --init-path',
      },
      {
        programs: 'docker podman nerdctl docker-compose',
        line: /(^| )(-v ?|--volume[= ]|--mount[= ]\S*(source|src)=)"?(\/:|\/(etc|root|home|var\/run|run|proc|sys|dev|boot|usr|var|lib|bin|mnt|opt|srv)?(\/\S*)?:|\/(etc|root|home|var|run|proc|sys|dev|boot)?(\/[^, ]*)?(,|$)|~(\/\.[\w-]+)?(\/|:|$)|\uFFFD:)|docker\.sock/,
      },
      { programs: 'docker podman nerdctl', line: /(^| )--(pid|ipc|uts|userns|cgroupns)[= ]host/ },
      { programs: 'docker podman nerdctl', head: /(^| )(-H|--host|-c|--context)\b/ },
    ],
  },
  {
    id: 'container-loss',
    risk: 'high',
    reason: 'removes containers, images or volumes, with the data in them',
    uses: [
      {
        programs: 'docker podman nerdctl',
        sub: 'system prune|system reset|volume rm|volume prune|swarm|secret|stack rm|service rm|network prune|image prune|container prune',
      },
      { programs: 'docker podman', sub: 'compose down|compose rm', options: '-v --volumes --rmi' },
      {
        programs: 'docker podman nerdctl',
        sub: 'rm|rmi|container rm|image rm',
        line: /\uFFFD|(^| )(-a|--all|-fa|-af)( |$)/,
      },
      { programs: 'docker podman nerdctl', sub: 'rm', options: '-v --volumes' },
      { programs: 'docker-compose podman-compose', sub: 'down|rm', options: '-v --volumes --rmi' },
    ],
  },
  {
    id: 'forge-write',
    risk: 'high',
    reason: 'changes something on the forge through its API, or shows its token',
    uses: [
      {
        programs: 'gh glab',
        sub: 'api',
        options: '-X --method -f -F --field --raw-field --input',
        unless:
          /(-X|--method)[ =]?GET\b|^graphql (-\S+ )*(-f|-F|--field|--raw-field)[ =]?query=\s*(query\b|\{)/,
      },
      { programs: 'gh glab', sub: 'api', line: /secrets|keys|hooks|\bmutation\b/ },
      {
        programs: 'gh',
        sub: 'auth token|auth login|auth refresh|auth setup-git|secret|variable|alias|extension install|repo delete|repo edit|repo archive|repo rename|repo create|repo deploy-key|pr merge|pr close|issue delete|issue close|issue transfer|release|gist create|gist edit|gist delete|workflow|ssh-key|gpg-key|codespace|cache delete|run delete|config set|label delete|project',
        unless: /^(list|view|status|download|ls)\b|^$/,
      },
      { programs: 'gh', sub: 'auth status', options: '-t --show-token' },
    ],
  },
  {
    id: 'cloud-secret',
    risk: 'high',
    reason: 'shows a secret, or an access token',
    uses: [
      {
        programs:
          'gcloud az aws heroku fly flyctl vercel doctl kubectl oc vault op bw pass gopass lpass keyring secret-tool infisical doppler chamber sops age ansible-vault teller security kwallet-query aws-vault gpg',
        line: /\b(print-(access|identity)-token|get-access-token|get-(secret|password|session|login|authorization-token|federation|parameter)\S*|config:get|config -s|secrets?\b.*\b(get|view|show|read|access|pull|list|download|versions)|env pull|kv get|read secret|assume-role|create-token|sign-jwt|keys (list|create)|export-secret|export-credentials|(?<!--)list-keys|list-connection-strings|show-connection-string|credentials? (show|list))/,
      },
      {
        programs:
          'vault op bw pass gopass lpass keyring secret-tool infisical doppler chamber sops age teller kwallet-query aws-vault 1password',
        unless: /^(--version|version|status|help|-h|--help|ls|list)?$|^(run|exec) /,
      },
      {
        programs: 'gpg gpg2',
        options:
          '--export-secret-keys --export-secret-subkeys --import --delete-keys --delete-secret-keys --decrypt -d --edit-key --send-keys --recv-keys --keyserver --gen-key --full-generate-key --quick-gen-key --encrypt -e --symmetric -c --export --sign -s --clearsign',
      },
    ],
  },
  {
    id: 'infrastructure-forced',
    risk: 'high',
    reason: 'changes infrastructure without a look at the plan',
    uses: [
      {
        programs: 'terraform tofu terragrunt',
        options:
          '-destroy --destroy -auto-approve --auto-approve -force --terragrunt-non-interactive',
      },
      {
        programs: 'terraform tofu',
        sub: 'init',
        options: '-migrate-state -reconfigure -from-module -plugin-dir -backend-config',
      },
    ],
  },
];
