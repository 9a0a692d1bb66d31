import {
  type Command,
  type Function as FunctionNode,
  forEachChild,
  type ParsedScript,
  type Pipeline,
  parse,
  type Redirection as RedirectionNode,
  type SyntaxNode,
} from 'unbash';
import type { Finding } from '../finding.js';
import type { Input, SimpleCommand } from './command.js';
import { commandText } from './command.js';
import { constantsOf } from './constants.js';
import { innerOf } from './inner.js';
import { shellLimits } from './limits.js';
import { type NoticeId, notice } from './notices.js';
import { readRedirection } from './redirection.js';
import { runsItself } from './self-start.js';
import { shellScripts } from './shells.js';
import { type Argument, hole, literal, toArgument, toArguments } from './word.js';

/** Everything that a command line runs, as far as it can be told. */
export interface Reading {
  commands: SimpleCommand[];
  /** The functions it defines. */
  functions: Set<string>;
  findings: Finding[];
  /** Words that name things without being a command's: those of `for`. */
  mentions: Argument[];
}

interface Place {
  input: Input;
  piped: boolean;
  through: string[];
  nesting: number;
}

const outermost: Place = { input: { kind: 'inherited' }, piped: false, through: [], nesting: 0 };

export function readScript(text: string): Reading {
  const reader = new ScriptReader();
  reader.read(text, outermost, 0);
  const { commands, functions, findings, mentions } = reader;
  return { commands, functions, findings, mentions };
}

/** What nobody types on purpose: C0 controls but tab and newline, DEL, and marks that turn the direction of text. */
const hiding = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/;

class ScriptReader {
  readonly commands: SimpleCommand[] = [];
  readonly functions = new Set<string>();
  readonly findings: Finding[] = [];
  readonly mentions: Argument[] = [];
  #values: ReadonlyMap<string, string> = new Map();
  #depth = 0;

  read(text: string, place: Place, depth: number): void {
    if (text.length > shellLimits.length) return void this.#tell('shell-too-long', text);
    if (depth > shellLimits.depth) return void this.#tell('shell-too-deep', text);
    if (hiding.test(text)) this.#tell('shell-control-character', text);
    const before = { values: this.#values, depth: this.#depth };
    this.#values = new Map([...before.values, ...constantsOf(text)]);
    this.#depth = depth;
    this.#script(parse(text), text, place);
    this.#values = before.values;
    this.#depth = before.depth;
  }

  #tell(rule: NoticeId, subject: string): void {
    const shown = subject.replace(/\s+/g, ' ').trim().slice(0, 200);
    if (this.findings.length < shellLimits.commands) this.findings.push(notice(rule, shown));
  }

  #script(script: ParsedScript, text: string, place: Place): void {
    if (script.errors !== undefined && script.errors.length > 0) {
      this.#tell('shell-unparsed', `${text} (${script.errors[0]!.message})`);
    }
    for (const statement of script.commands) this.#visit(statement, place);
  }

  #visit(node: SyntaxNode, place: Place): void {
    if (place.nesting > shellLimits.nesting) return void this.#tell('shell-too-deep', node.type);
    const deeper = { ...place, nesting: place.nesting + 1 };
    switch (node.type) {
      case 'Script':
        return void this.#script(node, '$(…)', { ...deeper, piped: true });
      case 'Pipeline':
        return void this.#pipeline(node, deeper);
      case 'Command':
        this.#command(node, deeper);
        return;
      case 'Redirected':
        return void this.#redirected(node, deeper);
      case 'Function':
        return void this.#function(node, deeper);
      case 'For':
        for (const word of node.wordlist ?? []) {
          if (this.mentions.length < shellLimits.commands) {
            this.mentions.push(toArgument(word, this.#values));
          }
        }
        forEachChild(node, (child) => this.#visit(child, deeper));
        return;
      default:
        forEachChild(node, (child) => this.#visit(child, deeper));
    }
  }

  #pipeline(pipeline: Pipeline, place: Place): void {
    let input = place.input;
    pipeline.commands.forEach((stage, at) => {
      const piped = place.piped || at < pipeline.commands.length - 1;
      const here = { ...place, input, piped };
      let from: SimpleCommand | undefined;
      if (stage.type === 'Command') from = this.#command(stage, here);
      else this.#visit(stage, here);
      const next = pipeline.commands[at + 1];
      if (from !== undefined && next !== undefined && choosesPlainly(next)) from.filtered = true;
      input = { kind: 'pipe', from };
    });
  }

  #redirected(node: Extract<SyntaxNode, { type: 'Redirected' }>, place: Place): void {
    const { redirections, input } = this.#redirections(node.redirects, place);
    for (const redirect of node.redirects) this.#substitutions(redirect, place);
    this.#add({ ...bare(place), words: [], redirections, block: true });
    this.#visit(node.command, { ...place, input });
  }

  #function(node: FunctionNode, place: Place): void {
    this.functions.add(node.name.value);
    if (runsItself(node)) this.#tell('fork-bomb', `${node.name.text}() { … }`);
    this.#visit(node.body, { ...place, input: { kind: 'inherited' } });
  }

  #command(node: Command, place: Place): SimpleCommand {
    const { redirections, input } = this.#redirections(node.redirects, place);
    const words: Argument[] = [];
    if (node.name !== undefined) words.push(...toArguments(node.name, this.#values));
    const assignments: SimpleCommand['assignments'] = [];
    const before = node.prefix.length;
    for (const [at, item] of [...node.prefix, ...node.args].entries()) {
      if (item.type === 'Word') {
        words.push(...toArguments(item, this.#values));
      } else if (item.type === 'Assignment') {
        const { value } = item;
        const all = value.type === 'Word' ? [value] : value.elements;
        const known = all.map((word) => toArgument(word, this.#values));
        for (const each of known) assignments.push({ name: item.name, value: each });
        if (at < before) continue;
        const text = value.type === 'Word' ? `${item.name}=${known[0]?.value ?? ''}` : item.text;
        words.push({ ...literal(text), text: item.text, known: known.every((it) => it.known) });
      }
    }
    for (const child of [node.name, ...node.prefix, ...node.suffix]) {
      if (child !== undefined) this.#substitutions(child, place);
    }
    const long = words.length > shellLimits.words || assignments.length > shellLimits.words;
    if (long) this.#tell('shell-too-many', node.name?.text ?? 'NAME=value');
    const command = {
      ...bare(place),
      words: words.slice(0, shellLimits.words),
      assignments: assignments.slice(0, shellLimits.words),
      redirections,
      input,
    };
    this.#add(command);
    return command;
  }

  /** The scripts in words and redirections, which run before the command itself. */
  #substitutions(node: SyntaxNode, place: Place): void {
    const inside = { ...bare(place), input: { kind: 'inherited' } as const, piped: true };
    this.#visit(node, { ...place, ...inside });
  }

  #redirections(nodes: readonly RedirectionNode[], place: Place) {
    const redirections: SimpleCommand['redirections'] = [];
    let input: Input | undefined;
    for (const node of nodes) {
      const { redirection, input: own } = readRedirection(node, this.#values);
      if (redirection !== undefined) redirections.push(redirection);
      if (own !== undefined) input = own;
    }
    return { redirections, input: input ?? place.input };
  }

  /** Takes a command up, and then what it starts. */
  #add(command: SimpleCommand): void {
    if (this.commands.length >= shellLimits.commands) {
      if (!this.findings.some(({ rule }) => rule === 'shell-too-many')) {
        this.#tell('shell-too-many', commandText(command));
      }
      return;
    }
    this.commands.push(command);
    if (command.words.length === 0) return;
    if (command.through.length > shellLimits.depth) {
      return void this.#tell('shell-too-deep', commandText(command));
    }
    const through = [...command.through, command.words[0]!.value];
    const inner = innerOf(command);
    const own = shellScripts(command);
    for (const words of inner.commands) {
      const finder = /(^|\/)(g?find|fd|fdfind)$/.test(command.words[0]!.value)
        ? command.words
        : undefined;
      const own = { ...command, words, assignments: [], redirections: [], through };
      this.#add(finder === undefined ? own : { ...own, finder });
    }
    if (own !== undefined) this.findings.push(...own.findings);
    for (const script of [...inner.scripts, ...(own?.scripts ?? [])]) {
      if (!script.known) this.#tell('hidden-script', script.text);
      if (script.value === hole) continue;
      this.read(
        script.value,
        { ...outermost, input: own?.input ?? command.input, piped: command.piped, through },
        this.#depth + 1,
      );
    }
  }
}

/** `| grep NODE` lets through what it names; `| grep -v` or a word for secrets lets through too much. */
function choosesPlainly(node: SyntaxNode): boolean {
  if (node.type !== 'Command' || !/^(e?grep|rg)$/.test(node.name?.value ?? '')) return false;
  const words = node.args.map((word) => (word.type === 'Word' ? word.value : ''));
  return !words.some((word) => /^-\w*v|^--inv|secret|token|key|pass|cred|auth|^\W*$/i.test(word));
}

function bare(place: Place): SimpleCommand {
  const { input, piped, through } = place;
  return { words: [], assignments: [], redirections: [], input, piped, through };
}
