import { z } from 'zod';
import { schema } from './schema.js';

/** For editors: what may stand in gatebook.toml, as JSON Schema draft 7, which all of them read. */
export function jsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  return { $schema, title: 'gatebook.toml', ...rest };
}
