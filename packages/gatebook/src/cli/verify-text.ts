import type { VerifyReport } from '@gatebook/audit';
import { paint } from './colour.js';
import { count, counted, forwardSecurityText } from './talk.js';
import { visible } from './visible.js';

/** Something the verifier brought, to be named in the report. */
export interface Evidence {
  readonly kind:
    | 'public key'
    | 'initial HMAC key'
    | 'checkpoint'
    | 'head'
    | 'policy'
    | 'witness'
    | 'anchor';
  readonly file: string;
}

export interface ReportStyle {
  readonly evidence: readonly Evidence[];
  /** Whether the log is ok and only `--strict` makes it exit 3. */
  readonly strictFailed: boolean;
  readonly colour: boolean;
}

/** Findings beyond this many are counted, not listed; `--json` has them all. */
const findingsShownMax = 20;

/** The report for people, verdict first. */
export function reportText(report: VerifyReport, style: ReportStyle): string {
  const ok = report.verdict === 'ok';
  const [first] = report.findings;
  const reason = first === undefined ? 'no reason was given' : findingText(first);
  const verdict = paint(report.verdict, ok ? 'green' : 'red', style.colour);
  const lines = [`${verdict}: ${ok ? extentText(report) : reason}`];
  const others = ok ? report.findings : report.findings.slice(1);
  for (const finding of others.slice(0, findingsShownMax)) lines.push(`  ${findingText(finding)}`);
  const rest = others.length - findingsShownMax;
  if (rest > 0) lines.push(`  and ${counted(rest, 'more finding')}; --json lists them all`);
  if (!ok) lines.push(`  ${readText(report)}`);
  for (const run of report.pruned) lines.push(`  ${prunedText(run)}`);
  if (report.unfinishedBytes > 0) {
    lines.push(
      `  ${counted(report.unfinishedBytes, 'byte')} of an unfinished write behind the last record are ignored`,
    );
  }
  if (style.strictFailed) {
    const signed = report.witnessed?.size ?? report.records - report.pending;
    const pending = Math.max(report.pending, report.records - signed);
    lines.push(`  --strict: ${counted(pending, 'pending record')} under no signature yet`);
  }
  const against = style.evidence.map(({ kind, file }) => `the ${kind} ${visible(file)}`);
  lines.push(
    `checked against ${against.length === 0 ? 'nothing but the log itself' : against.join(', ')}`,
  );
  return `${lines.join('\n')}\n`;
}

/** One line about a look that found nothing but more of the log. */
export function newsText(report: VerifyReport, before: VerifyReport): string {
  const more = counted(report.records - before.records, 'new record');
  return `${report.verdict}: ${extentText(report)}, ${more}\n`;
}

/** A deletion by the log itself. */
function prunedText({ range, reason, time }: VerifyReport['pruned'][number]): string {
  return visible(
    `pruned: records ${count(range[0])} to ${count(range[1] - 1)}, by ${reason}, last at ${time}`,
  );
}

/** How far and how deep it was checked. */
function extentText(report: VerifyReport): string {
  const extent = `${counted(report.records, 'record')}, everything up to size ${count(report.size)} checked at level ${report.level}`;
  const { witnessed } = report;
  const seen = witnessed === undefined ? '' : `; ${witnessedText(witnessed)}`;
  return withForwardSecurity(`${extent}; ${count(report.pending)} pending${seen}`, report);
}

function witnessedText({ size, timeMs }: NonNullable<VerifyReport['witnessed']>): string {
  const when = timeMs === undefined ? '' : ` as of ${new Date(timeMs).toISOString()}`;
  return `witnessed up to size ${count(size)}${when}`;
}

/** For a verdict that is not ok: what was looked at, without a word about how much of it holds. */
function readText(report: VerifyReport): string {
  return withForwardSecurity(
    `${counted(report.records, 'record')} read at level ${report.level}`,
    report,
  );
}

function withForwardSecurity(text: string, { forwardSecurity }: VerifyReport): string {
  if (forwardSecurity === undefined) return visible(text);
  return visible(`${text}; ${forwardSecurityText(forwardSecurity)}`);
}

function findingText(finding: VerifyReport['findings'][number]): string {
  const where: string[] = [];
  if (finding.file !== undefined) where.push(`file ${finding.file}`);
  if (finding.segment !== undefined) where.push(`segment ${finding.segment}`);
  if (finding.seq !== undefined) where.push(`seq ${finding.seq}`);
  if (finding.offset !== undefined) where.push(`byte offset ${finding.offset}`);
  if (finding.range !== undefined)
    where.push(`records ${finding.range[0]} to ${finding.range[1] - 1}`);
  const place = where.length === 0 ? '' : `${where.join(', ')}: `;
  return visible(`${place}${finding.reason} (${finding.kind})`);
}

/** The whole report as one JSON object, in snake case as everything else that leaves as JSON. */
export function reportJson(report: VerifyReport): string {
  const forward = report.forwardSecurity;
  return `${JSON.stringify({
    verdict: report.verdict,
    level: report.level,
    origin: report.origin,
    records: report.records,
    size: report.size,
    pending: report.pending,
    root: report.root,
    witnessed:
      report.witnessed === undefined
        ? undefined
        : {
            size: report.witnessed.size,
            time:
              report.witnessed.timeMs === undefined
                ? undefined
                : new Date(report.witnessed.timeMs).toISOString(),
          },
    segments: report.segments,
    epochs: report.epochs,
    forward_security:
      forward === undefined
        ? undefined
        : { on: forward.on, initial_key_file: forward.initialKeyFile },
    unfinished_bytes: report.unfinishedBytes,
    pruned: report.pruned,
    findings: report.findings,
  })}\n`;
}
