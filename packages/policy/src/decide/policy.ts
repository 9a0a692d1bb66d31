import { callName, type ToolCall } from '../call/call.js';
import { type CallRating, rateCall } from '../call/rate-call.js';
import { PolicyError } from '../errors.js';
import type { Surroundings } from '../paths/canonical.js';
import { isAtLeast, type Risk, riskLevel, risks } from '../risk.js';
import { type CedarPolicy, loadCedar, readCedarFile } from './cedar.js';
import { Engine, type Facts, fitsContext, type Verdict } from './engine.js';
import { compileLists, type Lists } from './lists.js';
import { covers, type Pattern, parsePattern, patternsMax, touches } from './pattern.js';

export interface PolicyOptions extends Surroundings {
  /** Patterns such as `exec:rm *`: what touches one is denied. */
  deny?: readonly string[] | undefined;
  /** What touches one is asked about, unless its risk denies it. */
  ask?: readonly string[] | undefined;
  /** What is covered by them is allowed, unless it is critical. */
  allow?: readonly string[] | undefined;
  /** From which risk on a call is asked about when nothing else decides; `high` by default. */
  askAt?: Risk | undefined;
  /** From which risk on it is denied; `critical` by default. */
  denyAt?: Risk | undefined;
  /** Cedar policies, with the name by which errors and decisions call them. */
  files?: readonly { name: string; text: string }[] | undefined;
}

export interface Decision {
  decision: 'allow' | 'ask' | 'deny';
  risk: Risk;
  /** The policy, pattern or rule that decided; `risk` for everyday work that nothing speaks of. */
  rule: string;
  /** Sentences for a person, the weightiest first. */
  reasons: string[];
  /**
   * All that makes a question of the call, sorted, `rule` among it: rules of findings from `askAt` on, entries of `ask`, Cedar policies that
   * forbid to run it unasked. A yes that is to reach beyond this call reaches no further than they do. Empty where nobody is asked.
   */
  asks: string[];
}

/** What decided, before it is known what else would have asked. */
interface Outcome extends Omit<Decision, 'risk' | 'asks'> {
  /** What asks besides `rule` and the findings, by its name. */
  alsoAsks?: readonly string[] | undefined;
}

/** A decision with all that led to it. */
export interface Explanation extends Decision {
  rating: CallRating;
  /** The patterns of the lists that touch the call. */
  matches: string[];
  /** Whether the allow list covers all of it. */
  covered: boolean;
}

/** What decides on calls. Made by {@link createPolicy}. */
export interface Policy {
  /** Synchronous, without a look at any file. Never throws for a call, whatever its arguments. */
  decide(call: ToolCall): Decision;
  explain(call: ToolCall): Explanation;
  /** The lists as Cedar policies, and those of the files. */
  readonly policies: readonly CedarPolicy[];
  /** Frees what Cedar holds. The policy denies everything from then on. */
  close(): void;
}

/**
 * @throws PolicyError when a pattern, an option or a Cedar policy is wrong.
 */
export async function createPolicy(options: PolicyOptions = {}): Promise<Policy> {
  const lists = {
    deny: parseList(options.deny, 'deny', options),
    ask: parseList(options.ask, 'ask', options),
    allow: parseList(options.allow, 'allow', options),
  };
  const thresholds = {
    askAt: riskOption(options.askAt, 'high', 'askAt'),
    denyAt: riskOption(options.denyAt, 'critical', 'denyAt'),
  };
  const files = options.files ?? [];
  const policies = compileLists(lists);
  // Without a policy there is nothing to evaluate, and no need for Cedar.
  if (policies.length === 0 && files.length === 0) {
    return new CompiledPolicy(options, lists, thresholds, policies, undefined);
  }
  const cedar = await loadCedar();
  for (const { name, text } of files) policies.push(...readCedarFile(cedar, name, text));
  const distinct = withDistinctIds(policies);
  const engine = new Engine(cedar, distinct, files.length > 0, options);
  return new CompiledPolicy(options, lists, thresholds, distinct, engine);
}

function parseList(
  list: readonly string[] | undefined,
  name: string,
  around: Surroundings,
): Pattern[] {
  const given = list ?? [];
  if (given.length > patternsMax) {
    throw new PolicyError('bad_option', `${name}: more than ${patternsMax} patterns.`);
  }
  return given.map((text, at) => parsePattern(text, `${name}[${at}]`, around));
}

function riskOption(risk: Risk | undefined, otherwise: Risk, name: string): Risk {
  if (risk === undefined) return otherwise;
  if (risks.includes(risk)) return risk;
  throw new PolicyError('bad_option', `${name}: ${String(risk)} is none of ${risks.join(', ')}.`);
}

function withDistinctIds(policies: readonly CedarPolicy[]): CedarPolicy[] {
  const used = new Set<string>();
  return policies.map((policy) => {
    const { id } = policy;
    let own = id;
    for (let n = 2; used.has(own); n++) own = `${id} (${n})`;
    used.add(own);
    return { ...policy, id: own };
  });
}

class CompiledPolicy implements Policy {
  readonly policies: readonly CedarPolicy[];
  readonly #around: Surroundings;
  readonly #lists: Lists;
  readonly #thresholds: { askAt: Risk; denyAt: Risk };
  #engine: Engine | undefined;
  #closed = false;

  constructor(
    around: Surroundings,
    lists: Lists,
    thresholds: { askAt: Risk; denyAt: Risk },
    policies: readonly CedarPolicy[],
    engine: Engine | undefined,
  ) {
    this.#around = around;
    this.#lists = lists;
    this.#thresholds = thresholds;
    this.policies = policies;
    this.#engine = engine;
  }

  decide(call: ToolCall): Decision {
    const { decision, risk, rule, reasons, asks } = this.explain(call);
    return { decision, risk, rule, reasons, asks };
  }

  explain(call: ToolCall): Explanation {
    const rating = rateCall(call, this.#around);
    const name = callName(call);
    const { deny, ask, allow } = this.#lists;
    const matches = [
      ...new Set(
        [...deny, ...ask]
          .filter((each) => touches(each, name, rating, this.#around))
          .map(({ text }) => text),
      ),
    ];
    const covered = allow.length > 0 && covers(allow, name, rating, this.#around);
    const outcome = this.#outcome(call, rating, { matches, covered });
    const { decision, rule, reasons } = outcome;
    const asks = decision === 'ask' ? this.#asks(outcome, rating) : [];
    return { decision, risk: rating.risk, rule, reasons, asks, rating, matches, covered };
  }

  close(): void {
    this.#engine?.close();
    this.#engine = undefined;
    this.#closed = true;
  }

  #asks({ rule, alsoAsks = [] }: Outcome, rating: CallRating): string[] {
    return [...new Set([rule, ...alsoAsks, ...rulesFrom(rating, this.#thresholds.askAt)])].sort();
  }

  #outcome(call: ToolCall, rating: CallRating, facts: Facts): Outcome {
    if (this.#closed)
      return { decision: 'deny', rule: 'policy-closed', reasons: ['the policy is closed'] };
    const engine = this.#engine;
    if (engine === undefined) return this.#byRisk(rating);
    if (!rating.complete) {
      return { decision: 'deny', rule: 'arguments-too-large', reasons: reasonsOf(rating) };
    }
    const first = engine.evaluate('run', call, rating, facts);
    if (first.decision === 'error') return failed(first);
    if (first.decision === 'allow') {
      // What a policy could not see whole it may not wave through.
      const decision = !engine.hasFiles || fitsContext(rating) ? 'allow' : 'ask';
      const rule = first.reasons[0] ?? 'allow';
      return { decision, rule, reasons: reasonsOf(rating), alsoAsks: [unseenRule] };
    }
    const second = this.#needsSecond(engine, first)
      ? engine.evaluate('run_after_yes', call, rating, facts)
      : undefined;
    if (second?.decision === 'error') return failed(second);
    if (second?.decision === 'allow') {
      // An entry of the ask list makes a question of what would be allowed, not of what the risk denies: nobody who lists
      // `exec:git push *` means what else stands in the same line. Only where `allow` would let it run, it is asked about.
      const listed = second.reasons.every((id) => isOfAsk(id));
      const byRisk = this.#byRisk(rating);
      if (listed && !facts.covered && byRisk.decision === 'deny') return byRisk;
      const rule =
        first.reasons.find((id) => !id.endsWith(' after yes')) ?? second.reasons[0] ?? 'ask';
      const asking = first.reasons.length > 0 ? first.reasons : second.reasons;
      const alsoAsks = asking.map((id) => this.#shown(id));
      return { decision: 'ask', rule: this.#shown(rule), reasons: reasonsOf(rating), alsoAsks };
    }
    const forbidding = second?.reasons[0] ?? first.reasons[0];
    if (forbidding !== undefined) {
      return { decision: 'deny', rule: this.#shown(forbidding), reasons: reasonsOf(rating) };
    }
    const byRisk = this.#byRisk(rating);
    const unseen = engine.hasFiles && !fitsContext(rating) && byRisk.decision === 'allow';
    return unseen ? { ...byRisk, decision: 'ask', alsoAsks: [unseenRule] } : byRisk;
  }

  /** Where nothing was said to `run`, only a policy that tells the actions apart can say more to `run_after_yes`. */
  #needsSecond(engine: Engine, first: Verdict): boolean {
    return first.reasons.length > 0 || engine.tellsActionsApart;
  }

  /** `deny[0]` with the pattern it stands for. */
  #shown(id: string): string {
    const list = /^(deny|ask)\[(\d+)\]/.exec(id);
    if (list === null) return id;
    const pattern = this.#lists[list[1] === 'deny' ? 'deny' : 'ask'][Number(list[2])];
    return pattern === undefined ? id : `${list[0]} ${pattern.text}`;
  }

  #byRisk(rating: CallRating): Outcome {
    const { askAt, denyAt } = this.#thresholds;
    const reasons = reasonsOf(rating);
    const rule = rating.rule ?? 'risk';
    if (isAtLeast(rating.risk, denyAt)) return { decision: 'deny', rule, reasons };
    return { decision: isAtLeast(rating.risk, askAt) ? 'ask' : 'allow', rule, reasons };
  }
}

/** Whether a policy stands for an entry of the ask list, and is none of a file. */
function isOfAsk(id: string): boolean {
  return /^ask\[\d+\] after yes$/.test(id);
}

/** Asks where a call is too large for a policy to see it whole. */
const unseenRule = 'policy-unseen';

/** The rules of findings of at least that risk; `risk` for commands, or a tool, that reach it by themselves. */
function rulesFrom({ findings, commands, kind }: CallRating, askAt: Risk): string[] {
  const asks = (each: { risk: Risk }): boolean => isAtLeast(each.risk, askAt);
  const bare =
    kind === 'exec'
      ? commands.some((command) => asks(command) && !command.findings.some(asks))
      : isAtLeast('medium', askAt);
  const rules = findings.filter(asks).map(({ rule }) => rule);
  return bare ? [...rules, 'risk'] : rules;
}

function failed({ reasons }: Verdict): Outcome {
  return { decision: 'deny', rule: 'policy-error', reasons };
}

const reasonsMax = 10;

function reasonsOf(rating: CallRating): string[] {
  return [...rating.findings]
    .sort((a, b) => riskLevel(b.risk) - riskLevel(a.risk))
    .slice(0, reasonsMax)
    .map(({ reason, subject }) => `${reason}: ${subject.slice(0, 200)}`);
}
