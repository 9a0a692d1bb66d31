import { type Command, Option } from 'commander';
import { nonEmpty } from './option-values.js';

/** For commands that append: the socket of a served log instead of a log's folders. */
export function withSocket(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--socket <path>',
        'append through the gatebook serve that listens there, instead of to a log of your own',
      ).argParser(nonEmpty),
    )
    .addOption(
      new Option(
        '--token-file <file>',
        'the token for --socket (default: GATEBOOK_TOKEN)',
      ).argParser(nonEmpty),
    );
}
