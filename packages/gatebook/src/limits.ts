import { checkLimits, type Limit, parseRate, type Rate, type Scope } from '@gatebook/ratelimit';
import type { RateLimitingConfig } from './config/schema.js';

/** Limits as the options of a command give them: rates such as `60/min`, and `PATTERN=RATE` for tools. */
export interface LimitWords {
  /** Of all calls together. */
  readonly limit?: string | undefined;
  /** Of each user's. */
  readonly limitPerUser?: string | undefined;
  /** Of each tool whose name matches; `*` in a pattern stands for any characters. */
  readonly limitTool?: readonly string[] | undefined;
}

/** A limit as plain data, which can be sent to the process that holds its buckets. */
export interface LimitSpec {
  readonly name: string;
  readonly rate: Rate;
  /** The rate's count by default. */
  readonly burst?: number | undefined;
  /** What each has a bucket of its own; one bucket for all by default. */
  readonly scope?: Scope | undefined;
  /** Which tools meet it, `*` standing for any characters; without it every call does, also those that are of no tool. */
  readonly tool?: string | undefined;
  /** What a call costs: 1, or as much as it says. */
  readonly cost?: 'call' | 'cost' | undefined;
  readonly shadow?: boolean | undefined;
}

/**
 * What these words mean; empty when there are none.
 *
 * @throws RateLimitError `bad_limit`, `duplicate_limit`, quoting the words
 */
export function limitsFrom({ limit, limitPerUser, limitTool = [] }: LimitWords): LimitSpec[] {
  const specs: LimitSpec[] = [];
  if (limit !== undefined) specs.push({ name: 'global', rate: parseRate(limit), cost: 'cost' });
  if (limitPerUser !== undefined)
    specs.push({ name: 'per-user', scope: ['actor'], rate: parseRate(limitPerUser) });
  for (const words of limitTool) specs.push(toolLimit(words));
  checkLimits(specs.map(limitOf));
  return specs;
}

/** The limits of a configuration; none where they are off. */
export function configuredLimits(config: RateLimitingConfig): LimitSpec[] {
  if (!config.enabled) return [];
  const scope = config.perUserLimit ? (['actor'] as const) : [];
  const own: LimitSpec[] = [
    { name: 'requests_per_minute', scope, rate: perMinute(config.requestsPerMinute), cost: 'call' },
    {
      name: 'tool_executions_per_minute',
      scope,
      rate: perMinute(config.toolExecutionsPerMinute),
      cost: 'call',
      tool: '*',
    },
  ];
  const named = Object.entries(config.limits).map(
    ([name, { rate, ...rest }]): LimitSpec => ({ name, rate: parseRate(rate), ...rest }),
  );
  return [...own, ...named];
}

/** The limit that a spec describes. */
export function limitOf({ tool, ...limit }: LimitSpec): Limit {
  if (tool === undefined) return limit;
  const matches = matcherOf(tool);
  return { ...limit, match: (request) => request.tool !== undefined && matches(request.tool) };
}

function perMinute(count: number): Rate {
  return { count, perMs: 60_000 };
}

function toolLimit(words: string): LimitSpec {
  const end = words.lastIndexOf('=');
  const tool = end === -1 ? '*' : words.slice(0, end);
  return { name: `tool:${tool}`, scope: ['tool'], rate: parseRate(words.slice(end + 1)), tool };
}

/** Whether a name is as a pattern says, whole; nothing but `*` is special. */
function matcherOf(pattern: string): (name: string) => boolean {
  const parts = pattern.split('*');
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return (name) => name === first;
  return (name) => {
    if (!name.startsWith(first) || !name.endsWith(last)) return false;
    let at = first.length;
    const end = name.length - last.length;
    for (const part of rest) {
      const found = name.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return at <= end;
  };
}
