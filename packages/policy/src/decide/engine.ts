import { callName, type ToolCall } from '../call/call.js';
import type { CallRating } from '../call/rate-call.js';
import { PolicyError } from '../errors.js';
import { canonicalPath, type Surroundings } from '../paths/canonical.js';
import { riskLevel } from '../risk.js';
import type { CedarModule, CedarPolicy } from './cedar.js';

let enginesMade = 0;
const freeNames: string[] = [];

/** A policy set that Cedar holds parsed under a name. */
export class Engine {
  readonly #cedar: CedarModule;
  readonly #name: string;
  readonly #around: Surroundings;
  readonly hasFiles: boolean;
  /** Whether a policy of a file may say something else to `run_after_yes` than to `run`. */
  readonly tellsActionsApart: boolean;

  constructor(
    cedar: CedarModule,
    policies: readonly CedarPolicy[],
    hasFiles: boolean,
    around: Surroundings,
  ) {
    this.#cedar = cedar;
    this.#around = around;
    this.hasFiles = hasFiles;
    // What the lists say to `run_after_yes` they say to `run` as well.
    this.tellsActionsApart =
      hasFiles && policies.some((it) => it.tellsActionsApart && !it.id.startsWith('ask['));
    this.#name = freeNames.pop() ?? `gatebook-policy-${++enginesMade}`;
    const parsed = cedar.preparsePolicySet(this.#name, {
      staticPolicies: Object.fromEntries(policies.map(({ id, text }) => [id, text])),
    });
    if (parsed.type === 'failure') {
      throw new PolicyError('bad_policy', parsed.errors[0]?.message ?? 'a policy cannot be parsed');
    }
  }

  evaluate(
    action: 'run' | 'run_after_yes',
    call: ToolCall,
    rating: CallRating,
    facts: Facts,
  ): Verdict {
    const tool = callName(call).toWellFormed();
    const answer = this.#cedar.statefulIsAuthorized({
      principal: { type: 'Actor', id: (call.actor ?? 'agent').toWellFormed() },
      action: { type: 'Action', id: action },
      resource: { type: 'Tool', id: tool },
      context: this.hasFiles ? fullContext(rating, facts, this.#around) : { ...facts },
      preparsedPolicySetId: this.#name,
      entities: this.hasFiles ? [toolEntity(tool, call, rating)] : [],
    });
    if (answer.type === 'failure') {
      return { decision: 'error', reasons: answer.errors.map(({ message }) => message) };
    }
    const { decision, diagnostics } = answer.response;
    if (diagnostics.errors.length > 0) {
      const reasons = diagnostics.errors.map(
        ({ policyId, error }) => `${policyId}: ${error.message}`,
      );
      return { decision: 'error', reasons };
    }
    return { decision, reasons: [...diagnostics.reason].sort() };
  }

  close(): void {
    this.#cedar.preparsePolicySet(this.#name, { staticPolicies: '' });
    freeNames.push(this.#name);
  }
}

export interface Verdict {
  decision: 'allow' | 'deny' | 'error';
  /** The ids of the policies, or the errors. */
  reasons: string[];
}

export interface Facts {
  matches: string[];
  covered: boolean;
}

/** Texts are cut where Cedar would have to carry more than a policy can use. */
const setMax = 64;
const textMax = 4096;

function fullContext(rating: CallRating, facts: Facts, around: Surroundings) {
  const texts = (values: readonly string[]): string[] =>
    [...new Set(values)]
      .slice(0, setMax)
      .map((value) => value.toWellFormed().slice(0, textMax).toWellFormed());
  return {
    kind: rating.kind,
    risk: rating.risk,
    level: riskLevel(rating.risk),
    rule: rating.rule ?? '',
    rules: texts(rating.findings.map(({ rule }) => rule)),
    command: (rating.command ?? '').toWellFormed().slice(0, textMax).toWellFormed(),
    commands: texts(rating.commands.map(({ text }) => text)),
    programs: texts(rating.commands.map(({ program }) => program.split('/').at(-1) ?? '')),
    paths: texts(rating.paths.map(({ path }) => canonicalPath(path, around))),
    ...facts,
  };
}

/** Whether the context holds all there is. */
export function fitsContext(rating: CallRating): boolean {
  return (
    rating.complete &&
    rating.commands.length <= setMax &&
    rating.paths.length <= setMax &&
    (rating.command ?? '').length <= textMax &&
    rating.commands.every(({ text }) => text.length <= textMax)
  );
}

function toolEntity(id: string, call: ToolCall, rating: CallRating) {
  return {
    uid: { type: 'Tool', id },
    attrs: { name: call.tool.toWellFormed(), server: (call.server ?? '').toWellFormed() },
    parents: [],
    tags: Object.fromEntries(rating.arguments),
  };
}
