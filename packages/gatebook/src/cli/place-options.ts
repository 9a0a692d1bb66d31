import type { Command } from 'commander';
import { nonEmpty } from './option-values.js';
import { choosePlaces, type Places } from './places.js';

/** Every command takes these, and takes them from the commands above it. */
export function withPlaces(command: Command): Command {
  return command
    .option('--log <dir>', 'the log folder', nonEmpty)
    .option('--keys <dir>', 'the keys folder', nonEmpty);
}

interface PlaceFlags {
  readonly log?: string;
  readonly keys?: string;
}

/** The value nearest to the command wins: `gatebook --log A audit --log B` reads B. */
export function placesOf(command: Command): Places {
  let log: string | undefined;
  let keys: string | undefined;
  for (let at: Command | null = command; at !== null; at = at.parent) {
    const flags = at.opts<PlaceFlags>();
    log ??= flags.log;
    keys ??= flags.keys;
  }
  return choosePlaces({ log, keys }, process.env);
}
