import { existsSync } from 'node:fs';
import { projectFile, userFile } from '../config/files.js';
import type { Loaded, Setting } from '../config/load.js';
import { variablePrefix } from '../config/names.js';
import { notAvailable } from '../config/schema.js';
import { type Check, fail, ok, warn } from './check.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Which sources there are, and what a project's file is not trusted with. */
export function checkSources(loaded: Loaded, env: Environment, cwd: string): Check[] {
  const user = userFile(env);
  const project = projectFile(cwd);
  const variables = Object.keys(env).filter(
    (name) => name.startsWith(variablePrefix) && env[name] !== '',
  );
  const set = loaded.settings.filter(({ origin }) => origin !== 'default').length;
  const sources = [
    `${user} (${existsSync(user) ? 'read' : 'not there'})`,
    project === undefined ? 'no gatebook.toml of a project here' : `${project} (read)`,
    variables.length === 0 ? `no ${variablePrefix}… variable` : variables.join(', '),
  ];
  const config = ok(
    'config',
    `${sources.join('; ')}; ${set} of ${loaded.settings.length} keys set`,
  );
  return project === undefined ? [config] : [config, checkTrust(loaded, project)];
}

function checkTrust({ untrusted, settings }: Loaded, project: string): Check {
  if (untrusted !== undefined) {
    const names = untrusted.given.map(({ key }) => key.name).join(', ');
    return warn(
      'config.trust',
      `${project} is not trusted${changedWords(untrusted.changed)}, and what in it would weaken the gate is ignored: ${names}`,
      'look at it, then gatebook config trust; or take these keys out',
    );
  }
  const weakening = settings.filter(
    ({ key, value, origin }) =>
      origin === 'project' && key.weakens?.test(value, key.usual) === true,
  );
  if (weakening.length === 0) return ok('config.trust', `nothing in ${project} needs trust`);
  return ok('config.trust', `${project} is trusted with ${namesOf(weakening)}`);
}

function changedWords(changed: readonly string[]): string {
  return changed.length === 0 ? '' : `, for ${changed.join(', ')} is not as it was trusted`;
}

/** The configuration is wrong: every line of what is wrong with it. */
export function checkFaults(lines: readonly string[]): Check[] {
  return lines.map((line) =>
    fail('config', line, 'mend it: until then no command starts that goes by it'),
  );
}

/** What is not enforced here, and why. */
export function checkEnforcement(loaded: Loaded): Check[] {
  const checks = [...switchedOff(loaded), ...shadowed(loaded), ...missing()];
  return checks.length > 0 ? checks : [ok('enforced', 'everything that can be enforced is')];
}

function switchedOff({ settings }: Loaded): Check[] {
  const off = settings.filter(
    ({ key, value }) => value === false && key.steps.at(-1) === 'enabled',
  );
  const recordings = settings.filter(
    ({ key, value }) => value === false && /^security\.audit\.log_/.test(key.name),
  );
  const failure = settings.find(({ key }) => key.name === 'security.audit.on_log_failure');
  const limiting = 'security.rate_limiting.';
  const hasRedis = settings.some(
    ({ key, value }) => key.name === `${limiting}redis_url` && value !== undefined,
  );
  const away = settings.find(({ key }) => key.name === `${limiting}on_store_failure`);
  return [
    ...off.map((setting) => {
      const section = setting.key.steps.slice(0, -1).join('.');
      const id = `enforced.${section.replace(/^security\./, '')}`;
      const what = offWords.get(section) ?? `[${section}] is off`;
      return warn(id, `${what}${fromWords(setting)}`, `set enabled = true in [${section}]`);
    }),
    ...(recordings.length === 0
      ? []
      : [
          warn(
            'enforced.recording',
            `some events are not recorded: ${recordings.map((each) => `${each.key.name}${fromWords(each)}`).join(', ')}`,
            'set them to true in [security.audit]',
          ),
        ]),
    ...(failure?.value === 'allow'
      ? [
          warn(
            'enforced.on_log_failure',
            `a call that cannot be recorded passes all the same${fromWords(failure)}`,
            'set on_log_failure = "refuse" in [security.audit]',
          ),
        ]
      : []),
    ...(hasRedis && away?.value === 'allow'
      ? [
          warn(
            'enforced.on_store_failure',
            `while the Redis of the limits does not answer, calls are not limited${fromWords(away)}`,
            'set on_store_failure = "deny" in [security.rate_limiting]',
          ),
        ]
      : []),
  ];
}

const offWords: ReadonlyMap<string, string> = new Map([
  ['security.audit', 'nothing is recorded, and calls pass all the same'],
  [
    'security.rate_limiting',
    'calls are not limited, unless a gate is started with --limit or its kind',
  ],
  ['security.policy', 'every tool may be called, and nobody is asked'],
  ['security.runaway', 'a session that runs in a loop is not stopped'],
]);

function shadowed({ config }: Loaded): Check[] {
  const names = Object.entries(config.security.rateLimiting.limits)
    .filter(([, limit]) => limit.shadow)
    .map(([name]) => name);
  if (names.length === 0) return [];
  const what = `these limits count what they would refuse, and refuse nothing: ${names.join(', ')}`;
  return [warn('enforced.shadow', what, 'take shadow = true away when the counts look right')];
}

function missing(): Check[] {
  const checks: Check[] = [];
  const others = [...notAvailable];
  if (others.length > 0) {
    checks.push(
      warn(
        'enforced.not_available',
        `not available in this version, so nothing of it is enforced: ${others.join(', ')}`,
        'confine what you start by other means (a container, a user of its own, a firewall)',
      ),
    );
  }
  return checks;
}

function namesOf(settings: readonly Setting[]): string {
  return settings.map(({ key }) => key.name).join(', ');
}

function fromWords({ source, place }: Setting): string {
  if (source === undefined) return ' (by default)';
  return ` (${source}${place === undefined ? '' : `:${place.line}:${place.column}`})`;
}
