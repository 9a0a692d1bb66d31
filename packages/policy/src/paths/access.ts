import type { Finding } from '../finding.js';
import type { Risk } from '../risk.js';
import { canonicalPath, readings, type Surroundings } from './canonical.js';
import { matchesPattern } from './pattern.js';
import { type SensitivePlace, sensitivePlaces } from './sensitive.js';

/** `list` tells that a file is there, and nothing of what is in it. */
export type Access = 'list' | 'read' | 'write';

/** A path that a call names, and what it does with it. */
export interface NamedPath {
  path: string;
  access: Access;
}

export interface Place {
  written: string;
  /** True when `*`, `?` and `[` stand for other letters. */
  pattern?: boolean;
}

/** What it means to list, read or write a path; nothing when that is an everyday thing. */
export function ratePath(place: Place, access: Access, around: Surroundings = {}): Finding[] {
  const gate = rateGateFile(place, access, around) ?? rateSettingsFile(place, access, around);
  if (gate !== undefined) return [gate];
  for (const [at, path] of readings(place.written, around).entries()) {
    const found = placeOf(path, place.pattern === true);
    if (found === undefined) continue;
    // Where `../` leads is a guess, which counts for places with a name of their own.
    if (at > 0 && (found.id === 'path-root' || found.id === 'path-home-settings')) continue;
    if (found.id === 'path-system' && isTemporary(path)) continue;
    const risk = riskOf(found, access);
    if (risk === 'low') continue;
    return [{ rule: found.id, risk, reason: found.reason, subject: place.written }];
  }
  return access === 'write' ? outside(place, around) : [];
}

/** Names alone are told of no `.env`, but of a folder that holds nothing but secrets. */
function riskOf(place: SensitivePlace, access: Access): Risk {
  if (access === 'write') return place.write;
  if (access === 'read') return place.read;
  return place.id === 'path-ssh' || place.id === 'path-process-memory' ? place.read : 'low';
}

function placeOf(path: string, pattern: boolean): SensitivePlace | undefined {
  // `/etc/$FILE` may be any file there.
  if ((pattern && /[*?[]/.test(path)) || /^[/~].*\uFFFD/.test(path)) {
    const hit = sensitivePlaces.find(({ examples }) =>
      examples.some((example) => matchesPattern(path, example)),
    );
    if (hit !== undefined) return hit;
  }
  return sensitivePlaces.find((place) => place.path.test(path));
}

function rateGateFile(place: Place, access: Access, around: Surroundings): Finding | undefined {
  if (around.gateFiles === undefined || access === 'list') return undefined;
  const path = canonicalPath(place.written, around);
  for (const file of around.gateFiles) {
    const own = canonicalPath(file, around);
    const hit =
      path === own ||
      path.startsWith(`${own}/`) ||
      (access === 'write' && own.startsWith(`${path}/`)) ||
      (access === 'write' && place.pattern === true && matchesPattern(path, own));
    if (!hit) continue;
    const reason = 'belongs to the gate itself: its settings, keys or log';
    const risk = access === 'write' ? 'critical' : 'high';
    return { rule: 'path-gate', risk, reason, subject: place.written };
  }
  return undefined;
}

/** A folder above it is everyday work, and so is what a pattern finds beside it; a pattern that may mean it is asked about. */
function rateSettingsFile(place: Place, access: Access, around: Surroundings): Finding | undefined {
  if (around.settingsFiles === undefined || access !== 'write') return undefined;
  const path = canonicalPath(place.written, around);
  for (const file of around.settingsFiles) {
    const own = canonicalPath(file, around);
    const named = path.toLowerCase() === own.toLowerCase();
    if (!named && !(place.pattern === true && matchesPattern(path, own))) continue;
    const reason = 'is what the gate goes by here: its settings or its policy';
    return {
      rule: 'path-gate',
      risk: named ? 'critical' : 'high',
      reason,
      subject: place.written,
    };
  }
  return undefined;
}

/** With a known workspace, what lies elsewhere is not the agent's to change, save temporary files. */
function outside(place: Place, around: Surroundings): Finding[] {
  if (around.workspace === undefined) return [];
  const path = canonicalPath(place.written, around);
  if (!/^[/~]/.test(path) || isTemporary(path) || path.startsWith('/dev/')) return [];
  if (/^~\/\.(cache|npm|local\/share)\//.test(path)) return [];
  const reason = 'lies outside the folder that the agent works in';
  return [{ rule: 'path-outside', risk: 'high', reason, subject: place.written }];
}

export function isTemporary(path: string): boolean {
  return /^(\/private)?(\/var)?\/tmp\/.|^(\/private)?\/var\/folders\/.|^\/var\/(lib\/apt\/lists|cache\/apt)\/./.test(
    path,
  );
}
