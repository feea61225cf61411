import type { Change, From } from "./scenario.ts";
import type { StateDraft } from "./state-draft.ts";

/** Whether a change can happen: those whom it is about are there. */
export function possible(draft: StateDraft, change: Change): boolean {
  const there = (name: string) => draft.living(draft.placeOf(name));
  switch (change.does) {
    case "move":
    case "leave":
      return there(change.who);
    case "replace":
      return change.who.every(there);
    case "restart":
    case "register":
      return draft.on(change.node).length > 0;
    case "reopen":
      return true;
  }
}

/** A change of the roster, as it happens to the dispatchers. */
export function happens(draft: StateDraft, change: Change): void {
  switch (change.does) {
    case "move":
      move(draft, change);
      break;
    case "restart":
      restart(draft, change);
      break;
    case "replace":
      replace(draft, change);
      break;
    case "leave":
      draft.ends(draft.placeOf(change.who), true);
      break;
    case "register":
      draft.registers(change.node, draft.on(change.node));
      break;
    case "reopen":
      reopen(draft);
      break;
  }
}

function move(draft: StateDraft, change: Change & { does: "move" }): void {
  const place = draft.placeOf(change.who);
  const { id, life, member } = draft.actorAt(place);
  const from = startOf(draft, place, change.from);
  draft.ends(place, change.tells);
  draft.born(id, member, change.to, life + 1n, from);
  draft.registers(change.to, [id]);
  draft.starts([id]);
}

function restart(draft: StateDraft, change: Change & { does: "restart" }): void {
  const at = draft.parts.nodes.indexOf(change.node);
  draft.nodes = draft.nodes.with(at, draft.nodes[at]! + 1);
  const reborn: string[] = [];
  for (const id of draft.on(change.node)) {
    const place = draft.parts.places.get(id)!;
    const { node, life, member } = draft.actorAt(place);
    const from = startOf(draft, place, change.from);
    draft.ends(place, false);
    if (change.without?.includes(member.name)) continue;
    draft.born(id, member, node, life + 1n, from);
    reborn.push(id);
  }
  draft.registers(change.node, reborn);
  draft.starts(reborn);
}

function replace(draft: StateDraft, change: Change & { does: "replace" }): void {
  const gone = change.who.map((name) => draft.placeOf(name));
  const from = gone
    .map((place) => startOf(draft, place, change.from))
    .reduce((low, one) => (one < low ? one : low));
  for (const place of gone) draft.ends(place, true);
  const ids = change.by.map((member) => {
    const id = draft.parts.wire.idOf(member.name);
    draft.born(id, member, member.node, 1n, from);
    draft.registers(member.node, [id]);
    return id;
  });
  draft.starts(ids);
}

/** Each node gets to know of the higher epoch when it does. */
function reopen(draft: StateDraft): void {
  const { nodes, wire } = draft.parts;
  const epoch = BigInt(Math.max(...draft.epochs) + 1);
  for (const node of nodes) draft.instructs(wire.instructions.id({ kind: "follow", node, epoch }));
}

/** Where a new life starts that takes the place of another. */
function startOf(draft: StateDraft, place: number, from: From): bigint {
  const { machine, checkpoint } = draft.actorAt(place);
  if (from === "start") return checkpoint;
  const { finished, unacked } = machine!;
  // The checkpoint does not pass what is not acknowledged yet (protocol.md D10).
  const cap = unacked.reduce(
    (low, { event }) => (event.key.commitTs - 1n < low ? event.key.commitTs - 1n : low),
    finished.commitTs,
  );
  return cap < finished.commitTs || !finished.isSyncPoint ? cap : cap + 1n;
}
