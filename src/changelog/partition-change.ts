import type { PartitionChange } from "./alter.ts";
import { numbered, type Partitioning } from "./partitions.ts";
import { UnknownStatement } from "./tokens.ts";

/** A partition with the id of the physical table that it is. */
export interface PartitionState extends Omit<Partitioning, "partitions"> {
  readonly parts: readonly (Partitioning["partitions"][number] & { readonly tableId: bigint })[];
}

export interface PartitionIds {
  next(): bigint;
  warn(what: string): void;
}

/**
 * What a table's partitions are after a change. Those that keep their rows keep their ids; of HASH and KEY all change when
 * their number does, for every row finds a new place (TiDB reorganizes all of them).
 */
export function changePartitions(
  tableId: bigint,
  before: PartitionState | undefined,
  change: Exclude<PartitionChange, { op: "exchange" }>,
  ids: PartitionIds,
): { tableId: bigint; partitions: PartitionState | undefined } {
  if (change.op === "remove") return { tableId: ids.next(), partitions: undefined };
  const fresh = (parts: Partitioning["partitions"]) => parts.map((one) => ({ ...one, tableId: ids.next() }));
  if (change.op === "by") {
    const { partitions, ...how } = change.partitioning;
    const id = ids.next();
    return { tableId: id, partitions: { ...how, parts: fresh(partitions) } };
  }
  if (!before) throw new UnknownStatement("the table has no partitions at this point of the log");
  const { parts } = before;
  const result = (after: PartitionState["parts"]) => ({ tableId, partitions: { ...before, parts: after } });
  const places = (names: readonly string[] | undefined) => {
    if (names === undefined) return new Set(parts.keys());
    return new Set(
      names.flatMap((name) => {
        const index = parts.findIndex((one) => one.name.toLowerCase() === name.toLowerCase());
        if (index < 0) ids.warn(`partition "${name}" does not exist`);
        return index < 0 ? [] : [index];
      }),
    );
  };
  switch (change.op) {
    case "add":
    case "from-table": {
      const more = change.op === "add" ? change.partitions : [change.partition];
      const wanted = more.filter(
        (one) => !parts.some((part) => part.name.toLowerCase() === one.name.toLowerCase()),
      );
      return result([...parts, ...fresh(wanted)]);
    }
    case "count": {
      if (before.method === "system_time" && change.by > 0)
        return result([...parts, ...fresh(numbered(change.by, parts.length))]);
      return result(fresh(numbered(parts.length + change.by)));
    }
    case "drop": {
      const gone = places(change.names);
      return result(parts.filter((_, index) => !gone.has(index)));
    }
    case "truncate": {
      const emptied = places(change.names);
      return result(parts.map((one, index) => (emptied.has(index) ? { ...one, tableId: ids.next() } : one)));
    }
    case "reorganize": {
      const from = places(change.names);
      const at = Math.min(...from, parts.length);
      const kept = (after: boolean) => parts.filter((_, index) => !from.has(index) && index > at === after);
      return result([...kept(false), ...fresh(change.into), ...kept(true)]);
    }
    case "to-table": {
      const [gone] = places([change.name]);
      if (gone === undefined)
        throw new UnknownStatement(`the table has no partition "${change.name}" at this point of the log`);
      return result(parts.filter((_, index) => index !== gone));
    }
    case "first":
    case "last":
    case "split":
      ids.warn(
        "the partitions that this clause drops or adds are not counted: all of the table's are made anew",
      );
      return result(fresh(parts));
  }
}
