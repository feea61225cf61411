import { openerOf, opening, registrations } from "./registration.ts";
import { without } from "./state.ts";
import type { StateDraft } from "./state-draft.ts";
import { type Instruction, isAnswer } from "./wire.ts";

/** A dispatcher obeys, or a node does what it is told of its dispatchers. */
export function obeys(draft: StateDraft, instruction: number): void {
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
function passesWide(
  draft: StateDraft,
  { node, key, schema, epoch, mode }: Instruction & { kind: "wide" },
): void {
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

function creates(draft: StateDraft, one: Instruction & { kind: "create" }): void {
  const { wire, actors, places, scenario } = draft.parts;
  const { id, node, table, schema, start, end } = one;
  const place = places.get(id) ?? -1;
  const former = draft.actors[place];
  if (scenario.impatient && draft.living(place)) {
    const { life: present } = draft.actorAt(place);
    if (one.given < present) obeysLate(draft, place, one);
    if (one.given <= present) return;
    // Whoever was asked before is refused, if it is not yet: it is told so, and ends.
    draft.ends(place, false);
  } else if (former && (!one.lost || draft.living(place))) return;
  const { member, life } = former
    ? actors.actors.value(former)
    : { member: { name: wire.nameOf(id), node, table }, life: 0n };
  const span = { ...(start !== "" && { start }), ...(end !== "" && { end }) };
  const next = scenario.impatient ? one.given : life + 1n;
  draft.born(id, { ...member, node, table, schema, ...span }, node, next, one.startTs);
  draft.registers(node, [id]);
  draft.starts([id]);
}

/**
 * A node creates what another has created that was asked after it, and registers that: before it is accepted it does
 * nothing else (protocol.md R4), and it never is (decision 28). So it has no place of its own.
 */
function obeysLate(draft: StateDraft, place: number, one: Instruction & { kind: "create" }): void {
  const { actors, nodes } = draft.parts;
  const at = nodes.indexOf(one.node);
  const epoch = BigInt(draft.epochs[at]!);
  const { id, member, checkpoint } = draft.actorAt(place);
  const nodeStart = draft.nodes[at]!;
  const late = actors.born({ id, member, node: one.node, nodeStart, life: one.given, checkpoint, epoch });
  for (const content of registrations(draft.parts, draft.actors.with(place, late), one.node, epoch, [id]))
    draft.sends(content);
}

/** A node registers all that it has with the higher epoch; the one of the table trigger opens it (protocol.md R1, M14). */
function follows(draft: StateDraft, { node, epoch }: Instruction & { kind: "follow" }): void {
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
