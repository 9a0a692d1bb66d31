import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** Where a log and its keys lie; both absolute. */
export interface Places {
  readonly dir: string;
  readonly keysDir: string;
}

export interface NamedPlaces {
  readonly log?: string | undefined;
  readonly keys?: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The log and keys folders: from the options, else GATEBOOK_LOG and GATEBOOK_KEYS, else as configured, else the XDG base
 * directories. A relative XDG variable is ignored, as the XDG specification asks.
 */
export function choosePlaces(
  options: NamedPlaces,
  env: Environment,
  home: string = homedir(),
  configured: NamedPlaces = {},
): Places {
  const state = xdg(env['XDG_STATE_HOME']) ?? join(home, '.local', 'state');
  const config = xdg(env['XDG_CONFIG_HOME']) ?? join(home, '.config');
  return {
    dir: resolve(
      options.log ?? given(env['GATEBOOK_LOG']) ?? configured.log ?? join(state, 'gatebook', 'log'),
    ),
    keysDir: resolve(
      options.keys ??
        given(env['GATEBOOK_KEYS']) ??
        configured.keys ??
        join(config, 'gatebook', 'keys'),
    ),
  };
}

export function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function xdg(value: string | undefined): string | undefined {
  return value !== undefined && isAbsolute(value) ? value : undefined;
}
