import { jsonSchema } from '../config/json-schema.js';
import { writeStdout } from './destination.js';

/** `gatebook config schema` */
export async function printSchema(): Promise<number> {
  await writeStdout(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
  return 0;
}
