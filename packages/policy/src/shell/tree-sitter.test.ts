import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { Language, type Node, Parser } from 'web-tree-sitter';
import { readCorpus } from '../testing/corpus.js';
import { rateShell } from './rate.js';

/** Another parser of Bash, written by others: what it finds to be a command's name has to have been rated. */
let parser: Parser;

beforeAll(async () => {
  await Parser.init();
  const grammar = new URL(
    '../../../../node_modules/tree-sitter-bash/tree-sitter-bash.wasm',
    import.meta.url,
  );
  parser = new Parser();
  parser.setLanguage(await Language.load(fileURLToPath(grammar)));
});

/** The names that need no expansion, and whether the whole line was understood. */
function namesIn(line: string): { names: string[]; clean: boolean } {
  const tree = parser.parse(line)!;
  const names: string[] = [];
  const visit = (node: Node): void => {
    if (node.type === 'command_name' && /^[\w./:-]+$/.test(node.text)) names.push(node.text);
    for (const child of node.children) if (child !== null) visit(child);
  };
  visit(tree.rootNode);
  const clean = !tree.rootNode.hasError;
  tree.delete();
  return { names, clean };
}

/** Words of the shell itself, which that grammar now and then takes for programs. */
const reserved = new Set('time coproc do done then else elif fi esac in'.split(' '));

function missedIn(line: string): string[] {
  const { names, clean } = namesIn(line);
  if (!clean) return [];
  const rating = rateShell(line);
  // What was not read is high as a whole, whatever it holds.
  if (rating.findings.some(({ rule }) => rule.startsWith('shell-'))) return [];
  const rated = new Set(rating.commands.map(({ program }) => program));
  return names
    .filter((name) => !reserved.has(name) && !rated.has(name))
    .map((name) => `${name} in ${line}`);
}

test('every command that tree-sitter finds in the corpora is rated', () => {
  const lines = [...readCorpus('benign'), ...readCorpus('dangerous')];
  expect(lines.filter((line) => namesIn(line).clean).length).toBeGreaterThan(lines.length * 0.9);
  expect(lines.flatMap(missedIn)).toEqual([]);
});

/** Lines of which it is known what they run: the names in the order they were put in. */
interface Line {
  text: string;
  names: string[];
}

const name = fc.constantFrom('git', 'npm', 'ls', 'rm', 'curl', 'evil', './run.sh', '/bin/cat');
const word = fc.constantFrom('a', '-x', '--y=z', "'b c'", '"d $e"', '$f', '*.ts', '2>&1', '>out');
const simple: fc.Arbitrary<Line> = fc
  .tuple(name, fc.array(word, { maxLength: 3 }))
  .map(([first, rest]) => ({ text: [first, ...rest].join(' '), names: [first] }));

function wrap(before: string, after: string): (line: Line) => Line {
  return ({ text, names }) => ({ text: `${before}${text}${after}`, names });
}

function join(between: string): (lines: [Line, Line]) => Line {
  return ([a, b]) => ({ text: `${a.text}${between}${b.text}`, names: [...a.names, ...b.names] });
}

const { line } = fc.letrec<{ line: Line }>((tie) => ({
  line: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    simple,
    ...['; ', ' && ', ' || ', ' | ', ' & ', '\n'].map((between) =>
      fc.tuple(tie('line'), tie('line')).map(join(between)),
    ),
    ...[
      ['( ', ')'],
      ['{ ', '; }'],
      ['echo $( ', ')'],
      ['echo "x $( ', ') y"'],
      ['v=$( ', ')'],
      ['if true; then ', '; fi'],
      ['for i in 1 2; do ', '; done'],
      ['while false; do ', '; done'],
      ['case x in x) ', ' ;; esac'],
      ['f() { ', '; }'],
      ['cat <( ', ')'],
      ['[[ -n "$( ', ')" ]]'],
      ['echo ${x:-$( ', ')}'],
      ['! { ', '; }'],
      ['time { ', '; }'],
    ].map(([before, after]) => tie('line').map(wrap(before!, after!))),
  ),
}));

test('every command of a generated line is rated, and tree-sitter finds no other', () => {
  fc.assert(
    fc.property(line, ({ text, names }) => {
      const rating = rateShell(text);
      fc.pre(!rating.findings.some(({ rule }) => rule === 'shell-unparsed'));
      const rated = rating.commands.map(({ program }) => program);
      for (const each of names) expect(rated).toContain(each);
      const count = (list: readonly string[], wanted: string): number =>
        list.filter((each) => each === wanted).length;
      for (const each of new Set(names)) {
        expect(count(rated, each)).toBeGreaterThanOrEqual(count(names, each));
      }
      expect(missedIn(text)).toEqual([]);
    }),
    { numRuns: process.env['GATEBOOK_CONFORMANCE'] === 'full' ? 5000 : 500 },
  );
});

const wrappers = [
  ['sudo ', ''],
  ['sudo -u root -- ', ''],
  ['env -i A=1 ', ''],
  ['nohup nice -n 5 ', ' &'],
  ['timeout -k 1 5 ', ''],
  ['xargs -n 1 ', ''],
  ['find . -exec ', ' {} +'],
  ["sh -c '", "'"],
  ['bash -lc "', '"'],
  ['eval "', '"'],
  ["trap '", "' EXIT"],
  ["watch -n 5 '", "'"],
  ['bash <<EOF\n', '\nEOF'],
  ['cat <<EOF | sh\n', '\nEOF'],
  ['bash <<< "', '"'],
  ['docker run --rm alpine ', ''],
  ['uv run ', ''],
  ['npx ', ''],
  ['command ', ''],
  ['exec -a x ', ''],
  ['stdbuf -oL setsid ', ''],
] as const;

test.each(wrappers)('a command in %j is rated as if it stood alone', (before, after) => {
  for (const command of ['rm -rf ~', 'mkfs.ext4 /dev/sda1', 'git push --force']) {
    const rating = rateShell(`${before}${command}${after}`);
    const alone = rateShell(command);
    expect(rating.findings.map(({ rule }) => rule)).toContain(alone.rule);
    expect(rating.commands.map(({ program }) => program)).toContain(command.split(' ')[0]);
  }
});
