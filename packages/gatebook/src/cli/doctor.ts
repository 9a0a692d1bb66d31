import type { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import type { Check, Level } from '../doctor/check.js';
import { examine, type Patient } from '../doctor/examine.js';
import { coloured, paint } from './colour.js';
import { workingFolder } from './config-choice.js';
import { writeStdout } from './destination.js';
import { CliError, reasonOf } from './failure.js';
import { namedPlaces } from './place-options.js';
import { choosePlaces, given } from './places.js';
import { visible } from './visible.js';

/** `gatebook doctor`: a line for each check; 1 when one has failed. */
export async function doctor(command: Command, json: boolean): Promise<number> {
  const checks = await examine(patientOf(command));
  const colour = coloured(process.stdout.isTTY === true, process.env);
  const text = json
    ? `${JSON.stringify({ checks })}\n`
    : checks.map((check) => lineOf(check, colour)).join('');
  await writeStdout(text);
  return checks.some(({ level }) => level === 'fail') ? 1 : 0;
}

/** A wrong configuration is something to be told of, and no reason not to look at the rest. */
function patientOf(command: Command): Patient {
  const { env } = process;
  const cwd = workingFolder();
  const named = namedPlaces(command);
  const socket =
    named.log === undefined && named.keys === undefined ? given(env['GATEBOOK_SOCKET']) : undefined;
  let config: Patient['config'];
  try {
    config = loadConfig({ env, cwd });
  } catch (error) {
    config = { faults: error instanceof CliError ? error.lines : [reasonOf(error)] };
  }
  const { logPath, keysPath } = 'faults' in config ? {} : config.config.security.audit;
  const places = choosePlaces(named, env, undefined, { log: logPath, keys: keysPath });
  return { places, socket, config, env, cwd };
}

const colours = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

function lineOf({ id, level, what, todo }: Check, colour: boolean): string {
  const head = paint(level.padEnd(4), colours[level satisfies Level], colour);
  const advice = todo === undefined ? '' : ` → ${visible(todo)}`;
  return `${head}  ${visible(id)}: ${visible(what)}${advice}\n`;
}
