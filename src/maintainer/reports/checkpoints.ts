import { type StatusChange, senderMismatch } from "../../barrier/membership.ts";
import { commitTsFault } from "../../barrier/plausible.ts";
import type { Place, Roster } from "../../barrier/roster.ts";
import { parseKeyText } from "../../protocol/event-key.ts";
import type { Program } from "../base/program.ts";
import type { SpaceInput } from "../intake/input.ts";
import type { Session } from "../session/session.ts";
import { settle } from "../steps/settle.ts";

/** Who says that its checkpoint is above a commitTs is past that barrier; equal is not past (protocol.md M15). */
export function* noteProgress(session: Session, inputs: readonly SpaceInput[]): Program<void> {
  const open = [...(session.root?.steps.keys() ?? [])].sort();
  if (open.length === 0) return;
  for (const { membership } of inputs) {
    if (membership?.kind !== "status") continue;
    const reached = currentStatuses(yield* session.roster(), membership, session.highestPlausible);
    for (const key of open) {
      const { commitTs } = parseKeyText(key);
      const past = reached.filter((one) => one.checkpointTs > commitTs).map((one) => one.place);
      session.agenda.add({ what: "past", key, places: past });
      yield* settle(session);
    }
  }
}

/**
 * The checkpoints in a heartbeat that are of present lives, and said by who hosts them (protocol.md R6, R7).
 * @param most the highest commitTs that is taken for one: what nobody can mean says nothing, for everything is behind it
 */
export function currentStatuses(
  roster: Roster,
  { sender, statuses }: StatusChange,
  most: bigint,
): { readonly place: Place; readonly checkpointTs: bigint }[] {
  const node = roster.nodes.get(sender.node);
  // It names no epoch: what another process of this node says may be of a life of the same number (decisions/0025).
  if (node === undefined || sender.start !== node.start) return [];
  if (senderMismatch(node, sender) !== undefined) return [];
  return statuses.flatMap(({ id, life, checkpointTs }) => {
    const place = roster.find(id);
    if (place === undefined || place.life.node !== sender.node) return [];
    if (commitTsFault(checkpointTs, "checkpoint_ts", most) !== undefined) return [];
    const isOf = sender.start > 0n ? life === place.life.life : BigInt(sender.sentAt) >= place.life.life;
    return isOf ? [{ place, checkpointTs }] : [];
  });
}
