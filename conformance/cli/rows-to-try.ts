import { randomInt } from 'node:crypto';

const wholeRun = process.env['GATEBOOK_CONFORMANCE'] === 'full';

/** Which rows of a table are tried: all of them in a whole run, else every third, from another one each time. */
export function rowsToTry<Row>(rows: readonly Row[]): readonly Row[] {
  if (wholeRun) return rows;
  const from = randomInt(3);
  return rows.filter((_, at) => at % 3 === from);
}
