export type { CallKind, ToolAnnotations, ToolCall } from './call/call.js';
export { argumentLimits } from './call/flatten.js';
export { type CallRating, rateCall } from './call/rate-call.js';
export { quoteWords } from './call/shell-argument.js';
export { type CedarPolicy, cedarSchema } from './decide/cedar.js';
export { type PatternKind, parsePattern } from './decide/pattern.js';
export {
  createPolicy,
  type Decision,
  type Explanation,
  type Policy,
  type PolicyOptions,
} from './decide/policy.js';
export { PolicyError, type PolicyErrorCode } from './errors.js';
export type { Finding } from './finding.js';
export { type Access, type NamedPath, type Place, ratePath } from './paths/access.js';
export { canonicalPath, type Surroundings } from './paths/canonical.js';
export { type Risk, riskLevel, risks } from './risk.js';
export { type RuleArea, type RuleDescription, ruleDescriptions, ruleManual } from './rules.js';
export { shellLimits } from './shell/limits.js';
export { type RatedCommand, rateShell, type ShellRating } from './shell/rate.js';
