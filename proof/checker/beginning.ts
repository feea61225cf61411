import { run } from "../../src/maintainer/base/program.ts";
import { handleBatch, newMemory } from "../../src/maintainer/batch.ts";
import { World } from "../../src/maintainer/testing/world.ts";
import { ComponentState } from "../../src/protocol/messages.ts";
import type { Parts } from "./parts.ts";
import { opening, registrations } from "./registration.ts";
import type { State } from "./state.ts";
import { StateDraft } from "./state-draft.ts";
import { keyWords } from "./wire.ts";

/** Where a scenario begins: dispatchers have registered or are about to, and the first events have come to them. */
export async function initialState(parts: Parts): Promise<State> {
  const { scenario, wire } = parts;
  const draft = new StateDraft(empty(parts), parts);
  for (const member of scenario.cast) draft.appears(member);
  const opened = opening(parts, 1, 1n);
  const registered = new Map(
    parts.nodes.map((node) => {
      const members = scenario.cast.filter((one) => one.node === node);
      const ids = members.map((one) => wire.idOf(one.name));
      return [node, registrations(parts, draft.actors, node, 1n, ids)] as const;
    }),
  );
  const first = [opened, ...[...registered.values()].flat()];
  if (scenario.unregistered) for (const content of first) draft.sends(content);
  else draft.store = parts.stores.taken(await storeAfter(parts, first));
  for (const late of scenario.late ?? [])
    for (const content of late === "opening" ? [opened] : registered.get(late.registration)!)
      draft.sends(content);
  others(draft);
  draft.begins();
  return draft.state();
}

function empty({ scenario, invocations, nodes, ghosts, faults }: Parts): State {
  const warm = scenario.environments.filter((one) => one === "warm").length;
  return {
    store: [],
    queue: [],
    actions: [],
    flights: [],
    idle: new Array(warm).fill(invocations.nothing),
    actors: [],
    nodes: nodes.map(() => 1),
    epochs: nodes.map(() => 1),
    ghost: ghosts.empty,
    changed: 0,
    excused: 0,
    left: faults,
  };
}

/** Messages that are in the queue at first, beside those that everybody sends. */
function others(draft: StateDraft): void {
  const { scenario, wire } = draft.parts;
  for (const name of scenario.starting ?? []) {
    const { node } = scenario.cast.find((one) => one.name === name)!;
    const status = wire.world.status(wire.node(node, 1), wire.idOf(name), 1n, ComponentState.Working);
    draft.sends(wire.message(status, `Working ${name}@1`));
  }
  for (const name of scenario.stray ?? []) {
    const { node } = scenario.cast.find((one) => one.name === name)!;
    const { key } = scenario.events[0]!;
    const done = wire.world.done(wire.node(node, 1), [wire.idOf(name)], key, "write");
    draft.sends(wire.message(done, `a stray DONE of Write ${keyWords(key)} of ${name}@1`));
  }
  for (const { type, from, body } of scenario.malformed ?? []) {
    const message = wire.world.message(wire.node(from, 1), type as "BlockStatusRequest", body);
    draft.sends(wire.message(message, "a message that nobody understands"));
  }
}

async function storeAfter({ wire, settings }: Parts, first: readonly number[]) {
  const world = new World();
  const invocation = { now: world.now, nonce: "first", settings, memory: newMemory() };
  await run(
    handleBatch(
      first.map((one) => wire.delivered(one, false)),
      invocation,
    ),
    world.port,
  );
  return world.store;
}
