import { type Command, Option } from 'commander';
import { collect, nonEmpty } from './option-values.js';
import type { Outcome } from './outcome.js';
import { placesOf, withPlaces } from './place-options.js';
import type { ExplainFlags } from './policy-explain.js';
import type { PolicyFlags } from './policy-options.js';

export function addPolicy(program: Command, outcome: Outcome): void {
  const policy = program.command('policy').description('try out what is allowed, asked or denied');
  const explain = policy
    .command('explain')
    .description('show the commands in a call, their risks, the rules, and the decision')
    .argument('[words...]', 'after --: a command line as one word, or a program and its words')
    .option('--tool <name>', 'a call of this tool, not a command: fs/write_file', nonEmpty)
    .option('--arguments <json>', 'with --tool: the arguments of the call', nonEmpty)
    .option('--json', 'print one JSON object');
  withPolicy(explain).action(
    async (words: string[], flags: PolicyFlags & ExplainFlags, command: Command) => {
      const { explainCall } = await import('./policy-explain.js');
      outcome.exitCode = await explainCall(words, flags, await placesOf(command));
    },
  );
  const test = policy
    .command('test')
    .description('decide the cases of a table; exit 1 when one is decided otherwise than it says')
    .argument('<file>', 'TOML with [[case]] tables, or JSON lines')
    .option('--json', 'print one JSON object a case');
  withPolicy(test).action(
    async (file: string, flags: PolicyFlags & { readonly json?: boolean }, command: Command) => {
      const { testCases } = await import('./policy-test.js');
      outcome.exitCode = await testCases(file, flags, await placesOf(command));
    },
  );
}

/** The options that say what is allowed, asked or denied. */
function withPolicy(command: Command): Command {
  const risks = ['low', 'medium', 'high', 'critical'];
  return withPlaces(command)
    .option('--policy <file>', 'a file of Cedar policies; may be repeated', collect)
    .option(
      '--deny <pattern>',
      'deny what this fits: exec:rm *, tool:db/*, write:infra/**',
      collect,
    )
    .option('--ask <pattern>', 'ask about what this fits', collect)
    .option('--allow <pattern>', 'allow what these cover', collect)
    .addOption(
      new Option('--ask-at <risk>', 'else ask from this risk on (default: high)').choices(risks),
    )
    .addOption(
      new Option('--deny-at <risk>', 'and deny from this one on (default: critical)').choices(
        risks,
      ),
    );
}
