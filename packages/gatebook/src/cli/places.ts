import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** Where a log and its keys lie; both absolute. */
export interface Places {
  readonly dir: string;
  readonly keysDir: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The log and keys folders: from the options, else GATEBOOK_LOG and GATEBOOK_KEYS, else the XDG base directories. A
 * relative XDG variable is ignored, as the XDG specification asks.
 */
export function choosePlaces(
  options: { log?: string | undefined; keys?: string | undefined },
  env: Environment,
  home: string = homedir(),
): Places {
  const state = xdg(env['XDG_STATE_HOME']) ?? join(home, '.local', 'state');
  const config = xdg(env['XDG_CONFIG_HOME']) ?? join(home, '.config');
  return {
    dir: resolve(options.log ?? given(env['GATEBOOK_LOG']) ?? join(state, 'gatebook', 'log')),
    keysDir: resolve(
      options.keys ?? given(env['GATEBOOK_KEYS']) ?? join(config, 'gatebook', 'keys'),
    ),
  };
}

function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function xdg(value: string | undefined): string | undefined {
  return value !== undefined && isAbsolute(value) ? value : undefined;
}
