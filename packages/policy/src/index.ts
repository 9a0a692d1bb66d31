export type { Finding } from './finding.js';
export { type Access, type Place, ratePath } from './paths/access.js';
export { canonicalPath, type Surroundings } from './paths/canonical.js';
export { type Risk, riskLevel, risks } from './risk.js';
export { type RatedCommand, rateShell, type ShellRating } from './shell/rate.js';
