import { loadConfig, type Setting } from '../config/load.js';
import { tomlName, tomlText } from '../config/toml-text.js';
import { untrustedText } from '../config/untrusted.js';
import { writeStdout } from './destination.js';
import { say } from './talk.js';
import { visible } from './visible.js';

export interface ShowFlags {
  readonly origin?: boolean;
  readonly json?: boolean;
}

/** `gatebook config show`: TOML that says the same when it is read, or JSON. */
export async function showConfig({ origin = false, json = false }: ShowFlags): Promise<number> {
  const { settings, untrusted } = loadConfig({ env: process.env, cwd: process.cwd() });
  if (untrusted !== undefined) say(untrustedText(untrusted));
  await writeStdout(json ? jsonOf(settings, origin) : tomlOf(settings, origin));
  return 0;
}

function jsonOf(settings: readonly Setting[], withOrigin: boolean): string {
  const members = settings.map((setting) => {
    const { key, value = null } = setting;
    return [key.name, withOrigin ? { value, ...originOf(setting) } : value];
  });
  return `${JSON.stringify(Object.fromEntries(members), undefined, 2)}\n`;
}

function originOf({ origin, source, place }: Setting): object {
  return { origin, ...(source === undefined ? {} : { source }), ...place };
}

function tomlOf(settings: readonly Setting[], withOrigin: boolean): string {
  let text = '';
  let section = '';
  for (const setting of settings) {
    const { key, value } = setting;
    const steps = [...key.steps];
    const name = tomlName(steps.pop() ?? '');
    if (steps.join('.') !== section) {
      section = steps.join('.');
      text += `${text === '' ? '' : '\n'}[${section}]\n`;
    }
    const line =
      value === undefined ? `# ${name} is not set: ${key.unset}` : `${name} = ${tomlText(value)}`;
    const from = withOrigin && value !== undefined ? `  # ${originText(setting)}` : '';
    text += `${visible(line)}${visible(from)}\n`;
  }
  return text;
}

function originText({ origin, source, place }: Setting): string {
  if (source === undefined) return origin;
  return place === undefined ? source : `${source}:${place.line}:${place.column}`;
}
