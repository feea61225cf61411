import type { Draft } from "./draft.ts";
import { openerOf, opening } from "./registration.ts";
import { without } from "./state.ts";
import { type Instruction, isAnswer } from "./wire.ts";

/** A dispatcher obeys, or a node does what it is told of its dispatchers. */
export function obeys(draft: Draft, instruction: number): void {
  const { wire, actors, places } = draft.parts;
  const one = wire.instructions.value(instruction);
  switch (one.kind) {
    case "create":
      creates(draft, one);
      break;
    case "wide":
      passesWide(draft, one);
      break;
    case "follow":
      follows(draft, one);
      break;
    case "remove": {
      const place = places.get(one.id) ?? -1;
      if (draft.living(place)) draft.ends(place, true);
      break;
    }
    default: {
      const place = places.get(one.id)!;
      if (!actors.never(draft.actors[place]!, one))
        draft.did(place, actors.obey(draft.actors[place]!, instruction));
    }
  }
}

/** An old node looks by itself who of its dispatchers is meant. */
function passesWide(draft: Draft, { node, key, schema, epoch, mode }: Instruction & { kind: "wide" }): void {
  const { actors, places, wire } = draft.parts;
  for (const id of draft.on(node)) {
    const place = places.get(id)!;
    const { member, life } = draft.actorAt(place);
    if (schema !== undefined && (member.schema ?? 1n) !== schema) continue;
    const pass = wire.instructions.id({ kind: "pass", key, id, life, epoch, mode });
    if (!actors.never(draft.actors[place]!, wire.instructions.value(pass)))
      draft.did(place, actors.obey(draft.actors[place]!, pass));
  }
}

function creates(draft: Draft, one: Instruction & { kind: "create" }): void {
  const { wire, actors, places } = draft.parts;
  const { id, node, table, schema, start, end } = one;
  const former = draft.actors[places.get(id) ?? -1];
  if (former && (!one.lost || draft.living(places.get(id)!))) return;
  const { member, life } = former
    ? actors.actors.value(former)
    : { member: { name: wire.nameOf(id), node, table }, life: 0n };
  const span = { ...(start !== "" && { start }), ...(end !== "" && { end }) };
  draft.born(id, { ...member, node, table, schema, ...span }, node, life + 1n, one.startTs);
  draft.registers(node, [id]);
  draft.starts([id]);
}

/** A node registers all that it has with the higher epoch; the one of the table trigger opens it (protocol.md R1, M14). */
function follows(draft: Draft, { node, epoch }: Instruction & { kind: "follow" }): void {
  const { actors, places, nodes, scenario, wire } = draft.parts;
  const at = nodes.indexOf(node);
  draft.epochs = draft.epochs.with(at, Number(epoch));
  const ids = draft.on(node);
  for (const id of ids) {
    const place = places.get(id)!;
    draft.actors = draft.actors.with(place, actors.follows(draft.actors[place]!, epoch));
  }
  for (const instruction of draft.actions) {
    const told = wire.instructions.value(instruction);
    if (isAnswer(told) && actors.never(draft.actors[places.get(told.id)!]!, told))
      draft.actions = without(draft.actions, instruction);
  }
  if (openerOf(scenario.cast).node === node) draft.sends(opening(draft.parts, draft.nodes[at]!, epoch));
  if (ids.length > 0) draft.registers(node, ids);
}
