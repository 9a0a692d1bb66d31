import { type Command, Option } from 'commander';
import { usageError } from './failure.js';
import { type KeySourceFlags, keySourceOf, keySourceOptions } from './key-source.js';
import { nonEmpty } from './option-values.js';
import type { Outcome } from './outcome.js';
import { placesOf, withPlaces } from './place-options.js';

export function addKeysCommands(program: Command, outcome: Outcome): void {
  const keys = withPlaces(program.command('keys')).description(
    'show, hand out and change the keys of a log',
  );
  withPlaces(keys.command('show'))
    .description('the keys that have signed the log, and where those that sign come from')
    .option('--json', 'print one JSON object')
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const { showKeys } = await import('./keys.js');
      outcome.exitCode = await showKeys(await placesOf(command), flags.json ?? false);
    });
  addExport(keys, outcome);
  addRotate(keys, outcome);
  withPlaces(keys.command('retire'))
    .description('end an overlap: the older of two signing keys signs no more')
    .action(async (_flags: object, command: Command) => {
      const { retireKey } = await import('./keys.js');
      outcome.exitCode = await retireKey(await placesOf(command));
    });
}

interface ExportFlags {
  readonly public?: boolean;
  readonly hmac?: boolean;
  readonly output?: string;
  readonly remove?: boolean;
}

function addExport(keys: Command, outcome: Outcome): void {
  withPlaces(keys.command('export'))
    .description('write out the public key, or the initial HMAC key for the auditor')
    .addOption(new Option('--public', 'the newest public key').conflicts('hmac'))
    .option('--hmac', 'the initial HMAC key; a secret')
    .option('-o, --output <file>', 'a new file (mode 0600); default: stdout', nonEmpty)
    .option('--remove', 'with --hmac: remove it from the keys folder then')
    .action(async (flags: ExportFlags, command: Command) => {
      if (!flags.public && !flags.hmac) throw usageError('say which key: --public or --hmac');
      const { exportKey } = await import('./keys.js');
      outcome.exitCode = await exportKey({
        places: await placesOf(command),
        what: flags.hmac ? 'hmac' : 'public',
        output: flags.output,
        remove: flags.remove ?? false,
      });
    });
}

interface RotateFlags extends KeySourceFlags {
  readonly overlap?: boolean;
}

function addRotate(keys: Command, outcome: Outcome): void {
  const rotate = withPlaces(keys.command('rotate'))
    .description('sign with a new key from here on, in the same history')
    .option('--overlap', 'both keys sign until gatebook keys retire')
    .option(
      '--no-overlap',
      'the old key retires at once, whether or not witnesses know the new one',
    );
  for (const option of keySourceOptions()) rotate.addOption(option);
  rotate.action(async (flags: RotateFlags, command: Command) => {
    const { rotateKey } = await import('./keys.js');
    outcome.exitCode = await rotateKey(await placesOf(command), {
      overlap: flags.overlap,
      ...keySourceOf(flags),
    });
  });
}
