const pattern = /^([1-9]\d{0,5})(ms|s|m|h|d|w)$/;
const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The milliseconds of a span of time such as `500ms`, `30s`, `10m`, `2h`, `1d` or `1w`; NaN where it is none. */
export function msOfSpan(text: string): number {
  const match = pattern.exec(text);
  return Number(match?.[1]) * (units[match?.[2] ?? ''] ?? Number.NaN);
}
