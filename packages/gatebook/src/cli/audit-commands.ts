import type { Dimension } from '@gatebook/audit';
import { type Command, Option } from 'commander';
import { usageError } from './failure.js';
import { type KeepingFlags, keepingFrom, withRetention } from './keeping-options.js';
import {
  collect,
  eventId,
  hostAndPort,
  nonEmpty,
  nonNegativeInteger,
  positiveInteger,
  since,
  until,
} from './option-values.js';
import type { Outcome } from './outcome.js';
import { type OutsideFlags, outsideFrom, withOutside } from './outside-options.js';
import { placesOf, withPlaces } from './place-options.js';
import type { Format } from './record-printer.js';
import type { FilterOptions } from './search-options.js';
import { withSocket } from './socket-options.js';
import { runVerify, type VerifyFlags, verifyOptionNames, verifyOptions } from './verify-options.js';

const formats: readonly Format[] = ['table', 'json', 'csv'];

const formatHelp = 'a table for people, the stored lines, or CSV for spreadsheets';

function formatOption(): Option {
  return new Option('--format <format>', formatHelp).choices([...formats]).default('table');
}

export function addAuditCommands(program: Command, outcome: Outcome): void {
  const audit = addSearch(program, outcome);
  addVerify(audit, outcome);
  addStatus(audit, outcome);
  addTail(audit, outcome);
  addCheckpoint(audit, outcome);
  addProve(audit, outcome);
  addCheckProof(audit, outcome);
  addRotate(audit, outcome);
  addRepair(audit, outcome);
  addTally(audit, outcome);
  addCosign(audit, outcome);
  addServe(audit, outcome);
  addPrune(audit, outcome);
  addArchive(audit, outcome);
  addErase(audit, outcome);
}

interface SearchFlags extends FilterOptions, VerifyFlags {
  readonly limit?: number;
  readonly format: Format;
  readonly output?: string;
  readonly open?: boolean;
  readonly verifySignatures?: boolean;
}

function addSearch(program: Command, outcome: Outcome): Command {
  const audit = withPlaces(program.command('audit'))
    .description('search the log; its subcommands verify, watch and prove it')
    .option('--user <id>', 'user_id or username; may be repeated', collect)
    .option('--risk <level>', 'low, medium, high or critical; may be repeated', collect)
    .option('--type <type>', 'event type; may be repeated', collect)
    .option('--tool <name>', 'tool; may be repeated', collect)
    .option('--session <id>', 'session_id; may be repeated', collect)
    .option('--since <when>', '24h, 7d, 30m, YYYY-MM-DD (UTC) or RFC 3339', since)
    .option('--until <when>', 'the same; a day counts to its end', until)
    .option('--violations-only', 'only what was against the rules, or refused')
    .option('--limit <n>', 'the newest n; all, but 100 in a table', positiveInteger)
    .addOption(formatOption())
    .option('--output <file>', 'write to a file that appears when complete (mode 0600)', nonEmpty)
    .option('--open', 'open sealed content and pseudonyms with the keys folder')
    .option('--verify-signatures', 'the same as gatebook audit verify, whose options it takes');
  for (const option of verifyOptions()) audit.addOption(option.hideHelp());
  return audit.action(async (flags: SearchFlags, command: Command) => {
    if (flags.verifySignatures) {
      refuseBeside(
        command,
        searchOptionNames,
        'is for searching; --verify-signatures does not search',
      );
      outcome.exitCode = await runVerify(flags, command);
      return;
    }
    refuseBeside(command, verifyOptionNames, 'is for gatebook audit verify');
    const { filterFrom } = await import('./search-options.js');
    const { search } = await import('./search.js');
    const { limit, format, output } = flags;
    outcome.exitCode = await search({
      places: await placesOf(command),
      filter: filterFrom(flags),
      format,
      limit,
      output,
      open: flags.open,
    });
  });
}

const searchOptionNames: readonly string[] = [
  'user',
  'risk',
  'type',
  'tool',
  'session',
  'since',
  'until',
  'violations-only',
  'limit',
  'format',
  'output',
  'open',
];
function refuseBeside(command: Command, names: readonly string[], why: string): void {
  for (const option of command.options) {
    const name = option.long?.slice(2) ?? '';
    const given = command.getOptionValueSource(option.attributeName()) === 'cli';
    if (given && names.includes(name)) throw usageError(`--${name} ${why}`);
  }
}

function addVerify(audit: Command, outcome: Outcome): void {
  const verify = withPlaces(audit.command('verify')).description(
    'prove that nothing in the log was changed, removed or added',
  );
  for (const option of verifyOptions()) verify.addOption(option);
  verify.action(async (flags: VerifyFlags, command: Command) => {
    outcome.exitCode = await runVerify(flags, command);
  });
}

function addStatus(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('status'))
    .description('what lies there, without verifying it')
    .option('--json', 'print one JSON object')
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const { status } = await import('./status.js');
      outcome.exitCode = await status({
        places: await placesOf(command),
        json: flags.json ?? false,
      });
    });
}

interface TailFlags {
  readonly follow?: boolean;
  readonly lines: number;
  readonly format: Format;
}

function addTail(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('tail'))
    .description('the newest records')
    .option('-f, --follow', 'go on with each new record until interrupted')
    .option('-n, --lines <n>', 'how many to begin with', nonNegativeInteger, 10)
    .addOption(formatOption())
    .action(async (flags: TailFlags, command: Command) => {
      const { tail } = await import('./tail.js');
      const { lines, format } = flags;
      outcome.exitCode = await tail({
        places: await placesOf(command),
        format,
        lines,
        follow: flags.follow ?? false,
      });
    });
}

function addCheckpoint(audit: Command, outcome: Outcome): void {
  withSocket(withPlaces(audit.command('checkpoint')))
    .description('print a signed checkpoint of everything recorded so far; keep it elsewhere')
    .action(async (_flags: object, command: Command) => {
      const { checkpoint } = await import('./checkpoint.js');
      const { logChoiceOf } = await import('./log-choice.js');
      outcome.exitCode = await checkpoint(await logChoiceOf(command));
    });
}

interface ProveFlags {
  readonly event?: string;
  readonly seq?: number;
  readonly output?: string;
}

function addProve(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('prove'))
    .description('make a proof that one record is in the log, to be checked without the log')
    .addOption(new Option('--event <id>', 'its event_id').argParser(eventId).conflicts('seq'))
    .option('--seq <n>', 'or its seq', nonNegativeInteger)
    .option('-o, --output <file>', 'where to write it (mode 0600); default: stdout', nonEmpty)
    .action(async (flags: ProveFlags, command: Command) => {
      const { event, seq, output } = flags;
      const record =
        event !== undefined ? { eventId: event } : seq !== undefined ? { seq } : undefined;
      if (record === undefined) throw usageError('say which record: --event ID or --seq N');
      const { prove } = await import('./prove.js');
      outcome.exitCode = await prove({ places: await placesOf(command), record, output });
    });
}

function addCheckProof(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('check-proof'))
    .description('check a proof against a public key, without the log')
    .argument('<file>', 'the proof')
    .requiredOption('--key <file>', 'the public key of the log; may be repeated', collect)
    .option('--policy <file>', 'a tlog-policy: which witnesses must have cosigned', nonEmpty)
    .action(
      async (
        file: string,
        flags: { readonly key: readonly string[]; readonly policy?: string },
      ) => {
        const { checkProofFile } = await import('./check-proof.js');
        outcome.exitCode = await checkProofFile(file, flags.key, flags.policy);
      },
    );
}

interface ServeFlags {
  readonly http: { readonly host: string; readonly port: number };
  readonly prefix?: string;
}

function addServe(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('serve'))
    .description('offer the log over HTTP as C2SP tlog-tiles, for reading only')
    .addOption(
      new Option('--http <host:port>', 'where it answers')
        .argParser(hostAndPort)
        .makeOptionMandatory(),
    )
    .option('--prefix <secret>', 'answer only below this first part of the path', nonEmpty)
    .action(async (flags: ServeFlags, command: Command) => {
      const { serve } = await import('./serve-tiles.js');
      const { http, prefix } = flags;
      outcome.exitCode = await serve({ places: await placesOf(command), listen: http, prefix });
    });
}

function addCosign(audit: Command, outcome: Outcome): void {
  withOutside(withPlaces(audit.command('cosign')))
    .description('have everything recorded so far cosigned by the witnesses and anchored, once')
    .action(async (flags: OutsideFlags, command: Command) => {
      const { configOf } = await import('./config-choice.js');
      const outside = await outsideFrom(flags, (await configOf())?.config.security.audit);
      if (outside.witnesses === undefined && outside.anchors === undefined) {
        throw usageError('say where to: --witness URL=KEY, --policy FILE or an --anchor option');
      }
      const { cosign } = await import('./cosign.js');
      outcome.exitCode = await cosign({ places: await placesOf(command), outside });
    });
}

function addRotate(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('rotate'))
    .description('seal the open segment and begin the next')
    .action(async (_flags: object, command: Command) => {
      const { rotate } = await import('./rotate.js');
      outcome.exitCode = await rotate(await placesOf(command));
    });
}

interface RepairFlags {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

function addRepair(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('repair'))
    .description('set damage aside, record it in the log, and let the log go on')
    .option('--dry-run', 'only say what would be done')
    .option('--json', 'print one JSON object')
    .action(async (flags: RepairFlags, command: Command) => {
      const { repair } = await import('./repair.js');
      const { dryRun = false, json = false } = flags;
      outcome.exitCode = await repair({ places: await placesOf(command), dryRun, json });
    });
}

const dimensions: readonly Dimension[] = ['actor', 'decision', 'risk', 'tool', 'type'];

interface TallyFlags {
  readonly segment?: number;
  readonly dimension?: Dimension;
  readonly value?: string;
  readonly none?: boolean;
  readonly json?: boolean;
  readonly prove?: boolean;
  readonly output?: string;
}

function addTally(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('tally'))
    .description('count the records of sealed segments by type, actor, tool, risk and decision')
    .option('--segment <seq>', 'the segment that begins with this seq', nonNegativeInteger)
    .addOption(new Option('--dimension <name>', 'only this one').choices(dimensions))
    .option('--value <text>', 'only this value', nonEmpty)
    .addOption(new Option('--none', 'only the records without a value').conflicts('value'))
    .option('--json', 'one JSON object a line')
    .option('--prove', 'make a proof of how many there are, to be checked without the log')
    .option(
      '-o, --output <file>',
      'where to write the proof (mode 0600); default: stdout',
      nonEmpty,
    )
    .action(async (flags: TallyFlags, command: Command) => {
      const { tally } = await import('./tally.js');
      const { segment, dimension, output } = flags;
      outcome.exitCode = await tally({
        places: await placesOf(command),
        segment,
        dimension,
        value: flags.none ? null : flags.value,
        json: flags.json ?? false,
        prove: flags.prove ?? false,
        output,
      });
    });
}

interface PruneFlags extends KeepingFlags {
  readonly dryRun?: boolean;
  readonly confirmClock?: boolean;
}

function addPrune(audit: Command, outcome: Outcome): void {
  const command = withPlaces(audit.command('prune'))
    .description('delete the segments that the policy in the book lets go')
    .option('--dry-run', 'only say which')
    .option('--confirm-clock', 'the time is right, although the clock was seen to jump ahead');
  withRetention(command).action(async (flags: PruneFlags, command: Command) => {
    const { configOf } = await import('./config-choice.js');
    const { prune } = await import('./prune.js');
    outcome.exitCode = await prune({
      places: await placesOf(command),
      keeping: await keepingFrom(flags, (await configOf())?.config.security.audit),
      dryRun: flags.dryRun ?? false,
      confirmClock: flags.confirmClock ?? false,
    });
  });
}

function addArchive(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('archive'))
    .description('compress the sealed segments of a closed log now, as gzip archives')
    .option('--json', 'print one JSON object')
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const { archive } = await import('./archive.js');
      outcome.exitCode = await archive({
        places: await placesOf(command),
        json: flags.json ?? false,
      });
    });
}

interface EraseFlags {
  readonly user: string;
  readonly dryRun?: boolean;
  readonly despiteHold?: boolean;
  readonly json?: boolean;
}

function addErase(audit: Command, outcome: Outcome): void {
  withPlaces(audit.command('erase'))
    .description(
      'destroy the key of a user, so that what was sealed for him cannot be read any more',
    )
    .requiredOption('--user <id>', 'user_id or username', nonEmpty)
    .option('--dry-run', 'only say what would go, and what cannot be reached')
    .option('--despite-hold', 'although a legal hold may cover records of his')
    .option('--json', 'print one JSON object')
    .action(async (flags: EraseFlags, command: Command) => {
      const { erase } = await import('./erase.js');
      outcome.exitCode = await erase({
        places: await placesOf(command),
        user: flags.user,
        dryRun: flags.dryRun ?? false,
        despiteHold: flags.despiteHold ?? false,
        json: flags.json ?? false,
      });
    });
}
