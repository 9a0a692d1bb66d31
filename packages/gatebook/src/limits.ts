import { checkLimits, type Limit, parseRate, type Rate } from '@gatebook/ratelimit';
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

/**
 * What these words mean; empty when there are none.
 *
 * @throws RateLimitError `bad_limit`, `duplicate_limit`, quoting the words
 */
export function limitsFrom({ limit, limitPerUser, limitTool = [] }: LimitWords): Limit[] {
  const limits: Limit[] = [];
  if (limit !== undefined) limits.push({ name: 'global', rate: parseRate(limit), cost: 'cost' });
  if (limitPerUser !== undefined)
    limits.push({ name: 'per-user', scope: ['actor'], rate: parseRate(limitPerUser) });
  for (const words of limitTool) limits.push(toolLimit(words));
  checkLimits(limits);
  return limits;
}

/** The limits of a configuration; none where they are off. */
export function configuredLimits(config: RateLimitingConfig): Limit[] {
  if (!config.enabled) return [];
  const scope = config.perUserLimit ? (['actor'] as const) : [];
  const own: Limit[] = [
    { name: 'requests_per_minute', scope, rate: perMinute(config.requestsPerMinute), cost: 'call' },
    {
      name: 'tool_executions_per_minute',
      scope,
      rate: perMinute(config.toolExecutionsPerMinute),
      cost: 'call',
      match: ({ tool }) => tool !== undefined,
    },
  ];
  const named = Object.entries(config.limits).map(([name, { rate, tool, ...rest }]): Limit => {
    const limit = { name, rate: parseRate(rate), ...rest };
    if (tool === undefined) return limit;
    const matches = matcherOf(tool);
    return { ...limit, match: (request) => request.tool !== undefined && matches(request.tool) };
  });
  return [...own, ...named];
}

function perMinute(count: number): Rate {
  return { count, perMs: 60_000 };
}

function toolLimit(words: string): Limit {
  const end = words.lastIndexOf('=');
  const pattern = end === -1 ? '*' : words.slice(0, end);
  const matches = matcherOf(pattern);
  return {
    name: `tool:${pattern}`,
    scope: ['tool'],
    rate: parseRate(words.slice(end + 1)),
    match: ({ tool }) => tool !== undefined && matches(tool),
  };
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
