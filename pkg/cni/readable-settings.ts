// What a DEL takes of the `manifold` object where some of it is wrong by now.
import { type GenericSchema, safeParse } from 'valibot';
import { isJsonObject } from './network-config.ts';
import type { JsonObject } from './plugin.ts';

/** To take the default for one of these would be to look for the state where it is not, and to succeed. */
const WHERE_THE_STATE_IS: readonly string[] = ['stateDir', 'runDir'];

/**
 * The configuration without the keys of `manifold` that one of the schemas refuses; stateDir and runDir stay as they are.
 * @param schemas of the whole network configuration
 */
export function withReadableSettings(raw: JsonObject, ...schemas: readonly GenericSchema[]): JsonObject {
  if (!isJsonObject(raw.manifold)) return raw;
  const refused = new Set(
    schemas.flatMap((schema) => {
      const { issues = [] } = safeParse(schema, raw);
      return issues.flatMap(({ path }) => (path?.[0].key === 'manifold' ? [path[1]?.key] : []));
    }),
  );
  const readable = Object.entries(raw.manifold).filter(
    ([key]) => !refused.has(key) || WHERE_THE_STATE_IS.includes(key),
  );
  return { ...raw, manifold: Object.fromEntries(readable) };
}
