import type { Environment } from '../config/environment.js';
import type { ConfigError } from '../config/fault.js';
import type { Loaded } from '../config/load.js';
import { ConfigWatch } from '../config/watch.js';
import type { GateSettings } from '../gate/settings.js';
import { type Recording, recordAll } from '../recording.js';
import type { Ledger } from './ledger.js';

export interface LiveConfigOptions {
  readonly env: Environment;
  readonly cwd: string;
  /** As it is at the start; undefined where nothing is configured. */
  readonly loaded: Loaded | undefined;
  /** What the gate goes by under a configuration. */
  readonly settingsOf: (loaded: Loaded) => Promise<GateSettings>;
}

export interface Running {
  readonly ledger: Ledger;
  /** Puts other limits and rules in the place of those in force. */
  readonly change: (settings: GateSettings) => void;
  readonly sessionId: string;
  /** Takes one line for the operator. */
  readonly report: (line: string) => void;
}

/**
 * The configuration of a running gate: taken over whole when it has changed, or not at all. Each change is in the book before it is
 * in force; where it cannot be recorded, the one before stays.
 */
export class LiveConfig {
  readonly #options: LiveConfigOptions;
  #loaded: Loaded | undefined;
  #untrusted: string | undefined;
  #named: readonly string[];
  #watch: ConfigWatch | undefined;

  constructor(options: LiveConfigOptions) {
    this.#options = options;
    this.#loaded = options.loaded;
    this.#untrusted = untrustedOf(options.loaded);
    this.#named = namedBy(options.loaded);
  }

  readonly recording = (): Recording => this.#loaded?.config.security.audit ?? recordAll;

  start(running: Running): void {
    const { env, cwd } = this.#options;
    const onChange = (): Promise<void> => this.#reload(running);
    this.#watch = new ConfigWatch({ env, cwd, named: () => this.#named, onChange });
  }

  end(): void {
    this.#watch?.end();
  }

  async #reload(running: Running): Promise<void> {
    const { env, cwd } = this.#options;
    const { loadConfig } = await import('../config/load.js');
    try {
      const after = loadConfig({ env, cwd });
      this.#named = namedBy(after);
      await this.#takeOver(running, after);
    } catch (error) {
      const lines = isConfigError(error) ? error.lines : [String(error)];
      for (const line of lines) running.report(`gatebook: ${line}`);
      running.report('gatebook: the configuration is not good, the one before stays');
    }
  }

  async #takeOver(running: Running, after: Loaded): Promise<void> {
    const { defaultConfig } = await import('../config/load.js');
    const { changeEvent, changesBetween } = await import('../config/change.js');
    const settings = await this.#options.settingsOf(after);
    await this.#tellUntrusted(running, after);
    const changes = changesBetween(this.#loaded ?? defaultConfig(), after);
    if (changes.length === 0) {
      this.#loaded = after;
      return;
    }
    const event = { ...changeEvent(changes), sessionId: running.sessionId };
    const silent = !this.recording().enabled;
    if (!silent && !(await running.ledger.fact(event))) {
      running.report(
        'gatebook: a change of the configuration cannot be recorded, the one before stays',
      );
      return;
    }
    running.change(settings);
    this.#loaded = after;
    if (silent) await running.ledger.fact(event);
    const names = changes.map(({ key }) =>
      key.live ? key.name : `${key.name} (at the next start)`,
    );
    running.report(`gatebook: the configuration has changed: ${names.join(', ')}`);
  }

  async #tellUntrusted(running: Running, after: Loaded): Promise<void> {
    const { untrusted } = after;
    const what = untrustedOf(after);
    if (untrusted === undefined || what === this.#untrusted) return;
    const { untrustedEvent, untrustedText } = await import('../config/untrusted.js');
    this.#untrusted = what;
    running.report(`gatebook: ${untrustedText(untrusted)}`);
    await running.ledger.fact({ ...untrustedEvent(untrusted), sessionId: running.sessionId });
  }
}

/** What is not trusted, as one text that differs where something else is not. */
function untrustedOf(loaded: Loaded | undefined): string | undefined {
  const untrusted = loaded?.untrusted;
  if (untrusted === undefined) return undefined;
  return JSON.stringify([untrusted.file, untrusted.sha256, untrusted.changed]);
}

/** Whether they are in force or not: what is wrong with one may be mended. */
function namedBy(loaded: Loaded | undefined): readonly string[] {
  if (loaded === undefined) return [];
  return [...loaded.files.map(({ path }) => path), ...loaded.projectFiles];
}

function isConfigError(error: unknown): error is ConfigError {
  return error instanceof Error && error.name === 'ConfigError';
}
