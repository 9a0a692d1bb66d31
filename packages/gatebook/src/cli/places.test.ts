import { describe, expect, it } from 'vitest';
import { choosePlaces } from './places.js';

describe('choosePlaces', () => {
  it('takes options before the environment before XDG before home', () => {
    const env = { GATEBOOK_LOG: '/e/log', GATEBOOK_KEYS: '/e/keys', XDG_STATE_HOME: '/x' };
    expect(choosePlaces({ log: '/o/log', keys: '/o/keys' }, env, '/h')).toEqual({
      dir: '/o/log',
      keysDir: '/o/keys',
    });
    expect(choosePlaces({}, env, '/h')).toEqual({ dir: '/e/log', keysDir: '/e/keys' });
    const xdg = { XDG_STATE_HOME: '/x/state', XDG_CONFIG_HOME: '/x/config', GATEBOOK_LOG: '' };
    expect(choosePlaces({}, xdg, '/h')).toEqual({
      dir: '/x/state/gatebook/log',
      keysDir: '/x/config/gatebook/keys',
    });
    expect(choosePlaces({}, {}, '/h')).toEqual({
      dir: '/h/.local/state/gatebook/log',
      keysDir: '/h/.config/gatebook/keys',
    });
  });

  it('ignores a relative XDG variable', () => {
    expect(choosePlaces({}, { XDG_STATE_HOME: 'state' }, '/h').dir).toBe(
      '/h/.local/state/gatebook/log',
    );
  });

  it('gives absolute folders', () => {
    expect(choosePlaces({ log: 'a', keys: 'b' }, {}, '/h')).toEqual({
      dir: `${process.cwd()}/a`,
      keysDir: `${process.cwd()}/b`,
    });
  });
});
