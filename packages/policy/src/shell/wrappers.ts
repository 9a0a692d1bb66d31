/** A program whose words hold another command. */
export interface Wrapper {
  programs: string;
  /** The words that make it one, such as `run` of `uv run`; alternatives are separated by `|`. */
  subcommand?: string;
  /** Options that take the next word. */
  valued?: string;
  /** How many words stand before the command. */
  skip?: number;
  /** `NAME=value` words may stand before the command. */
  assignments?: true;
  /** Options whose value is a shell script. */
  scripts?: string;
  /** The words are joined and given to a shell. */
  joined?: true;
  /** More words are added to the command when it runs. */
  more?: true;
}

/** In this order; the first that fits counts. */
export const wrappers: readonly Wrapper[] = [
  {
    programs: 'sudo doas sudoedit',
    valued:
      '-u -g -h -p -C -r -t -T -D -R -U --user --group --host --prompt --chdir --chroot --role --type --other-user --close-from --command-timeout',
    assignments: true,
  },
  {
    programs: 'env',
    valued: '-u -C --unset --chdir',
    assignments: true,
    scripts: '-S --split-string',
  },
  { programs: 'nohup setsid chronic unbuffer dbus-run-session' },
  { programs: 'nice', valued: '-n --adjustment' },
  { programs: 'ionice', valued: '-c -n --class --classdata' },
  { programs: 'caffeinate', valued: '-t -w' },
  { programs: 'fakeroot', valued: '-l -s -i -b' },
  { programs: 'xvfb-run', valued: '-n -s -e -f -p -w --server-args --server-num --error-file' },
  { programs: 'time', valued: '-f -o --format --output' },
  { programs: 'stdbuf', valued: '-i -o -e --input --output --error' },
  { programs: 'timeout gtimeout', valued: '-k -s --kill-after --signal', skip: 1 },
  { programs: 'taskset chrt setarch linux32 linux64', skip: 1 },
  { programs: 'chroot', skip: 1, valued: '--userspec --groups' },
  { programs: 'command builtin exec', valued: '-a' },
  { programs: 'coproc busybox toybox' },
  {
    programs: 'xargs gxargs',
    valued:
      '-a -d -E -I -L -n -P -s --arg-file --delimiter --eof --replace --max-lines --max-args --max-procs --max-chars --process-slot-var',
    more: true,
  },
  { programs: 'watch', valued: '-n -d --interval', joined: true },
  { programs: 'flock', skip: 1, valued: '-w -E -x --timeout --wait', scripts: '-c --command' },
  { programs: 'script scriptreplay', scripts: '-c --command', valued: '-T -m -o -O -I -B -E' },
  {
    programs: 'su runuser',
    scripts: '-c --command --session-command',
    valued: '-s -g -G -w --shell --group',
  },
  { programs: 'strace ltrace', valued: '-e -o -p -s -a -u -E -I -O -S -P -b -X -x' },
  { programs: 'valgrind catchsegv', valued: '' },
  {
    programs: 'perf',
    subcommand: 'stat|record',
    valued: '-e -r -o -F -p -C --event --repeat --output',
  },
  { programs: 'entr', valued: '-s' },
  { programs: 'cross-env dotenv dotenvx env-cmd', valued: '-f -e -c -o --file', assignments: true },
  {
    programs: 'dotenvx op infisical doppler chamber aws-vault',
    subcommand: 'run|exec',
    valued: '-f -p -c -e --env-file --env --project --config',
    skip: 0,
  },
  {
    programs: 'uv',
    subcommand: 'run',
    valued:
      '--with --with-requirements --with-editable --extra --group --python -p --project --directory --env-file --package --index-url -m --module --only-group --no-group',
  },
  {
    programs: 'poetry pipenv pdm rye hatch',
    subcommand: 'run',
    valued: '-C --directory -P --project -p',
  },
  { programs: 'conda mamba micromamba', subcommand: 'run', valued: '-n --name -p --prefix --cwd' },
  { programs: 'bundle', subcommand: 'exec', valued: '--gemfile' },
  { programs: 'uvx', valued: '--from --with --python -p --index-url --with-requirements' },
  { programs: 'uv', subcommand: 'tool run', valued: '--from --with --python -p' },
  { programs: 'pipx', subcommand: 'run', valued: '--spec --python --pip-args' },
  {
    programs: 'npx pnpx bunx',
    valued: '-p --package --userconfig --registry --cache',
    scripts: '-c --call',
  },
  {
    programs: 'npm',
    subcommand: 'exec|x',
    valued: '-p --package -w --workspace --prefix',
    scripts: '-c --call',
  },
  {
    programs: 'pnpm yarn',
    subcommand: 'exec|dlx',
    valued: '-p --package -C --filter --dir',
    scripts: '-c --shell-mode',
  },
  { programs: 'bun', subcommand: 'x', valued: '-p --package' },
  {
    programs: 'mise asdf direnv rtx volta',
    subcommand: 'exec|x|run',
    valued: '-C --cd --node --npm',
    skip: 0,
  },
  {
    programs: 'docker podman nerdctl',
    subcommand: 'exec',
    valued: '-u --user -e --env -w --workdir --env-file --detach-keys',
    skip: 1,
  },
  {
    programs: 'docker podman nerdctl',
    subcommand: 'run',
    valued:
      '-a --attach --add-host --annotation -c --cpu-shares --cap-add --cap-drop --cgroupns --cidfile --cpus --cpuset-cpus --device --dns --entrypoint -e --env --env-file --expose --gpus --group-add -h --hostname --health-cmd --init-path --ip --ipc --isolation -l --label --link --log-driver --log-opt -m --memory --memory-swap --mount --name --network --net --network-alias --pid --pids-limit --platform -p --publish --pull --restart --runtime --security-opt --shm-size --stop-signal --stop-timeout --storage-opt --sysctl --tmpfs --ulimit -u --user --userns --uts -v --volume --volume-driver --volumes-from -w --workdir',
    skip: 1,
  },
  {
    programs: 'docker podman',
    subcommand: 'compose exec|compose run',
    valued:
      '-f --file -p --project-name --profile --env-file --project-directory -e --env -u --user -w --workdir --index --name --entrypoint -v --volume --publish -l --label',
    skip: 1,
  },
  {
    programs: 'docker-compose podman-compose',
    subcommand: 'exec|run',
    valued:
      '-f --file -p --project-name --profile --env-file -e --env -u --user -w --workdir --index --name --entrypoint -v --volume',
    skip: 1,
  },
  { programs: 'git', subcommand: 'bisect run', valued: '-C -c' },
  { programs: 'git', subcommand: 'submodule foreach', joined: true, valued: '-C -c' },
];
