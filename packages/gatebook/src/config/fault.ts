import { CliError } from '../cli/failure.js';

/** Where something stands in a text; both count from 1, columns in UTF-16 units as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong with the configuration. */
export interface Fault {
  /** A file's path, or the name of an environment variable. */
  readonly source: string;
  /** Absent for an environment variable that is wrong as a whole. */
  readonly place?: Place | undefined;
  readonly message: string;
}

/** `gatebook.toml:3:1: …`, the form that editors and terminals make a link of. */
export function faultText({ source, place, message }: Fault): string {
  const where = place === undefined ? source : `${source}:${place.line}:${place.column}`;
  return `${where}: ${message}`;
}

/** The configuration is wrong: every fault is told, and nothing is started. */
export class ConfigError extends CliError {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    const lines = faults.map(faultText);
    super(2, lines.join('\n'), { lines });
    this.name = 'ConfigError';
    this.faults = faults;
  }
}
