import type { SavedMachine } from "../../src/dispatcher/machine.ts";
import { doneState, reportState } from "../../src/dispatcher/states.ts";
import type { StatusMessage } from "../../src/maintainer/intake/input.ts";
import type { TestSpan } from "../../src/maintainer/testing/world.ts";
import { BlockStage, type State as BlockState, DoneAction } from "../../src/protocol/messages.ts";
import { identityOf } from "./actor-run.ts";
import type { Actor } from "./actors.ts";
import type { Parts } from "./parts.ts";
import type { CastMember } from "./scenario.ts";
import { keyWords } from "./wire.ts";

/**
 * The registrations of dispatchers of one node, as they are: with what each has behind it and the event at which it stands, as
 * `CaptureNode` says it. One message for each queue that answers.
 */
export function registrations(
  parts: Parts,
  present: readonly number[],
  node: string,
  epoch: bigint,
  ids: readonly string[],
): number[] {
  const found = ids.map((id) => parts.actors.actors.value(present[parts.places.get(id)!]!));
  const queues = Map.groupBy(found, ({ id, member }) => (member.ownQueue ? id : ""));
  return [...queues.values()].map((some) => registration(parts, node, epoch, some));
}

function registration({ wire }: Parts, node: string, epoch: bigint, found: readonly Actor[]): number {
  const from = wire.node(node, found[0]!.nodeStart);
  const [{ id, member }] = found as [Actor];
  const made = wire.world.registration(from, found.map(spanOf), {
    epoch,
    ...(member.ownQueue && { queue: wire.queueOf(id) }),
  });
  // A node names its queue for requests to create dispatchers, however few it has.
  const message: StatusMessage = { ...made, attributes: { ...made.attributes, nodeQueue: from.queue } };
  const names = found.map((one) => {
    const state = blockState(one);
    const stage = state === undefined ? "" : ` (${BlockStage[state.stage]} ${keyWords(keyOf(state))})`;
    return `${wire.nameOf(one.id)}@${one.life}${stage}`;
  });
  const again = epoch > 1n ? ` in epoch ${epoch}` : "";
  return wire.message(message, `registration of ${names.join(", ")} on ${node}${again}`);
}

function spanOf(actor: Actor): TestSpan {
  const { id, member, life, machine } = actor;
  const state = blockState(actor);
  return {
    id,
    table: member.table,
    schema: member.schema ?? (member.table === 0n ? 0n : 1n),
    life,
    checkpoint: machine!.finished.commitTs,
    ...(member.start !== undefined && { start: member.start }),
    ...(member.end !== undefined && { end: member.end }),
    ...(member.state !== undefined && life === 1n && { state: member.state }),
    ...(member.redo && { mode: 1n }),
    ...(state && { blockState: state }),
  };
}

/** The same as `Dispatcher.blockState` (protocol.md M14). */
function blockState({ member, machine }: Pick<Actor, "member" | "machine">): BlockState | undefined {
  const { pending, finished } = machine as SavedMachine;
  if (pending === undefined || pending.stage === "flushing")
    return finished.isSyncPoint ? doneState(finished, DoneAction.UNSPECIFIED) : undefined;
  const state = reportState(pending.event, true, identityOf(member));
  if (pending.stage === "writing") state.stage = BlockStage.WRITING;
  return state;
}

function keyOf({ BlockTs, IsSyncPoint }: BlockState) {
  return { commitTs: BlockTs, isSyncPoint: IsSyncPoint };
}

/** What opens the changefeed: whoever hosts the table trigger sends it (protocol.md R1). */
export function opening({ scenario, wire }: Parts, start: number, epoch: bigint): number {
  const opener = openerOf(scenario.cast);
  const tables = scenario.tables.map(({ id, schema }) => ({ id, schema }));
  const redo = scenario.cast.some((one) => one.redo);
  const made = wire.world.opening(wire.node(opener.node, start), wire.idOf(opener.name), tables, {
    epoch,
    redo,
  });
  return wire.message(made, epoch > 1n ? `the opening of epoch ${epoch}` : "the opening");
}

/** The table trigger of the default mode. */
export function openerOf(cast: readonly CastMember[]): CastMember {
  return cast.find((one) => one.table === 0n && !one.redo)!;
}
