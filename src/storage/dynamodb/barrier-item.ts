import type {
  BarrierChanges,
  BarrierConditions,
  BarrierItem,
  Tally,
  Tombstone,
} from "../../maintainer/base/port.ts";
import { itemBytes } from "./item-size.ts";
import {
  B,
  bytes,
  highest,
  type Item,
  integer,
  N,
  NS,
  numbers,
  S,
  SS,
  strings,
  text,
  Update,
} from "./values.ts";

/** Stamps of one item before the lower ones are taken out (docs/bounds.md). */
export const MAX_STAMPS = 64;

/** A barrier's item. Absent parts are zero or empty. */
export function barrierFrom(item: Item | undefined): BarrierItem | undefined {
  if (item === undefined) return undefined;
  return {
    event: bytes(item["event"]),
    routes: bytes(item["routes"]),
    openedAt: integer(item["openedAt"]),
    stamp: highest(item["stamps"]),
    waiting: strings(item["waiting"]),
    passed: strings(item["passed"]),
    sentAt: integer(item["sentAt"]),
    unreachable: strings(item["unreachable"]),
    tombstone: item["closedAt"] === undefined ? undefined : tombstoneFrom(item),
    bytes: itemBytes(item),
  };
}

/** A whole barrier as an item, without its keys and its TTL. @param stamps all that it was ever given */
export function barrierItem(barrier: BarrierItem, stamps: ReadonlySet<number>): Item {
  const { event, routes, openedAt, waiting, passed, sentAt, unreachable, tombstone } = barrier;
  return {
    ...(openedAt !== 0 && { event: B(event), openedAt: N(openedAt) }),
    ...(routes.length > 0 && { routes: B(routes) }),
    ...(stamps.size > 0 && { stamps: NS(stamps) }),
    ...(waiting.size > 0 && { waiting: SS(waiting) }),
    ...(passed.size > 0 && { passed: SS(passed) }),
    ...(unreachable.size > 0 && { unreachable: SS(unreachable) }),
    ...(sentAt !== 0 && { sentAt: N(sentAt) }),
    ...(tombstone && {
      closedAt: N(tombstone.closedAt),
      closedOn: N(tombstone.closedOn),
      grantedAt: N(tombstone.grantedAt),
      writtenAt: N(tombstone.writtenAt),
      lives: N(tombstone.lives),
      writer: S(tombstone.writer),
    }),
  };
}

function tombstoneFrom(item: Item): Tombstone {
  return {
    closedAt: integer(item["closedAt"]),
    closedOn: integer(item["closedOn"]),
    grantedAt: integer(item["grantedAt"]),
    writtenAt: integer(item["writtenAt"]),
    writer: text(item["writer"]),
    lives: integer(item["lives"]),
  };
}

/** A barrier's item gets its time to live when the floor has passed it, not before (protocol.md M19). */
export function barrierUpdate(conditions: BarrierConditions, changes: BarrierChanges): Update {
  const update = new Update();
  // A tombstone is final (invariants.md I9).
  if (conditions.notClosed) update.condition(`attribute_not_exists(${update.name("closedAt")})`);
  if (conditions.sameEvent !== undefined) {
    const name = update.name("event");
    update.condition(`attribute_not_exists(${name}) OR ${name} = ${update.value(B(conditions.sameEvent))}`);
  }
  // A repeat has one winner: the time of the last sending has not changed since it was due.
  if (conditions.notSentSince !== undefined) {
    const name = update.name("sentAt");
    update.condition(
      `attribute_not_exists(${name}) OR ${name} <= ${update.value(N(conditions.notSentSince))}`,
    );
  }
  if (conditions.fewerUnreachable !== undefined) {
    const name = update.name("unreachable");
    const most = update.value(N(conditions.fewerUnreachable));
    update.condition(`attribute_not_exists(${name}) OR size(${name}) < ${most}`);
  }
  const { create, stamp, addWaiting, addPassed, addUnreachable, sentAt, tombstone } = changes;
  if (changes.dropWaiting?.length) update.delete("waiting", SS(changes.dropWaiting));
  if (changes.dropPassed?.length) update.delete("passed", SS(changes.dropPassed));
  const keep = (attribute: string, value: ReturnType<typeof S>) => {
    const name = update.name(attribute);
    update.set(name, `if_not_exists(${name}, ${update.value(value)})`);
  };
  if (changes.routes?.length) keep("routes", B(changes.routes));
  if (create) {
    keep("event", B(create.event));
    keep("openedAt", N(create.openedAt));
  }
  // The set of all stamps: adding is commutative, and the highest is the stamp.
  if (stamp !== undefined) update.add("stamps", NS([stamp]));
  if (addWaiting?.length) update.add("waiting", SS(addWaiting));
  if (addPassed?.length) update.add("passed", SS(addPassed));
  if (addUnreachable?.length) update.add("unreachable", SS(addUnreachable));
  if (sentAt !== undefined) update.set(update.name("sentAt"), update.value(N(sentAt)));
  if (tombstone) {
    for (const name of ["closedAt", "closedOn", "grantedAt", "writtenAt", "lives"] as const)
      update.set(update.name(name), update.value(N(tombstone[name])));
    update.set(update.name("writer"), update.value(S(tombstone.writer)));
  }
  return update;
}

/** Takes the stamps out that another is higher than: what is read is the highest. */
export function prunedStamps(item: Item): Update | undefined {
  const stamps = numbers(item["stamps"]);
  if (stamps.size <= MAX_STAMPS) return undefined;
  const update = new Update();
  update.condition(`attribute_exists(${update.name("stamps")})`);
  update.delete("stamps", NS(lowerStamps(stamps)));
  return update;
}

/** All but the highest. */
export function lowerStamps(stamps: ReadonlySet<number>): number[] {
  const most = Math.max(...stamps);
  return [...stamps].filter((stamp) => stamp < most);
}

/** A tally's item, for one chunk. */
export function tallyFrom(chunk: number, item: Item | undefined): Tally {
  return { chunk, reported: numbers(item?.["reported"]), stamp: highest(item?.["stamps"]) };
}

/** A whole tally as an item, without its keys and its TTL. */
export function tallyItem(reported: ReadonlySet<number>, stamps: ReadonlySet<number>): Item {
  return {
    ...(reported.size > 0 && { reported: NS(reported) }),
    ...(stamps.size > 0 && { stamps: NS(stamps) }),
  };
}

export function tallyUpdate(
  changes: { readonly add?: readonly number[]; readonly stamp?: number },
  ttl: number,
): Update {
  const update = new Update();
  if (changes.add?.length) update.add("reported", NS(changes.add));
  if (changes.stamp !== undefined) update.add("stamps", NS([changes.stamp]));
  const name = update.name("ttl");
  update.set(name, update.value(N(ttl)));
  return update;
}
