import type { Command } from 'commander';
import type { Outcome } from './outcome.js';
import { withPlaces } from './place-options.js';

interface TrustFlags {
  readonly revoke?: boolean;
  readonly yes?: boolean;
}

export function addConfig(program: Command, outcome: Outcome): void {
  const config = program.command('config').description('what is configured, and where');
  config
    .command('show')
    .description('print the configuration that holds')
    .option('--origin', 'and where each value comes from')
    .option('--json', 'print one JSON object')
    .action(async (flags: { readonly origin?: boolean; readonly json?: boolean }) => {
      const { showConfig } = await import('./config-show.js');
      outcome.exitCode = await showConfig(flags);
    });
  config
    .command('check')
    .description('say all that is wrong with the configuration')
    .argument('[file]', 'a file to check alone, in the place of what holds here')
    .action(async (file: string | undefined) => {
      const { checkConfig } = await import('./config-check.js');
      outcome.exitCode = await checkConfig(file);
    });
  withPlaces(config.command('trust'))
    .description('let a project file, as it is now, set keys that weaken what holds here')
    .argument('[file]', 'the file; by default the one of this project')
    .option('--revoke', 'trust it no more')
    .option('--yes', 'ask nobody')
    .action(async (file: string | undefined, flags: TrustFlags, command: Command) => {
      const { revokeTrust, trustConfig } = await import('./config-trust.js');
      const { revoke = false, yes = false } = flags;
      const act = revoke ? revokeTrust : trustConfig;
      outcome.exitCode = await act({ command, named: file, yes });
    });
  config
    .command('import')
    .description('print what a security section of picoclaw or zeroclaw is as a gatebook.toml')
    .argument('<file>', 'a JSON file of picoclaw or a TOML file of zeroclaw')
    .action(async (file: string) => {
      const { importFile } = await import('./config-import.js');
      outcome.exitCode = await importFile(file);
    });
  config
    .command('schema')
    .description('print the JSON Schema of gatebook.toml, for editors')
    .action(async () => {
      const { printSchema } = await import('./config-schema.js');
      outcome.exitCode = await printSchema();
    });
}
