import type { Observation } from "./observe.ts";

/**
 * What a log line says of an observation: under the same names in every line, so that one query finds a changefeed, a
 * barrier or a node. `changefeed` is the space (keyspace, name, id and mode), `barrier` the key as the table has it.
 */
export function logFields({ what: _, space, key, ...rest }: Observation): Record<string, unknown> {
  return { ...(space !== "" && { changefeed: space }), ...(key !== undefined && { barrier: key }), ...rest };
}
