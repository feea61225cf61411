import type { DispatcherKey } from "../barrier/dispatcherid.ts";
import type { Life } from "../barrier/roster.ts";
import { ComponentState } from "../protocol/messages.ts";
import { flush, type Invocation, openSession } from "./batch.ts";
import { handleMembership } from "./membershipturn.ts";
import { Observer } from "./observe.ts";
import type { Program } from "./program.ts";
import type { Space } from "./space.ts";

/** Who is to go: all dispatchers of a node, or one. */
export type Evicted = { readonly node: string } | { readonly dispatcher: DispatcherKey };

/**
 * Takes dispatchers out that are lost for good: their lives end as by `Removed`, and what waited for them is judged again
 * (protocol.md R9b). A dispatcher that was not lost after all comes back with a higher life.
 * @returns the lives that ended
 */
export function* evict(space: Space, who: Evicted, invocation: Invocation): Program<readonly Life[]> {
  const observer = new Observer();
  const session = openSession(space, invocation, observer, 1);
  if ((yield* session.refresh()) === undefined) return [];
  const roster = yield* session.roster();
  const lives = roster.dispatchers
    .flatMap((chunk) => chunk.lives)
    .filter((life) => ("node" in who ? life.node === who.node : life.id === who.dispatcher));
  const inputs = [...Map.groupBy(lives, (life) => life.node)].map(([id, of]) => {
    const node = roster.nodes.get(id)!;
    const message = {
      messageId: `evict/${id}`,
      body: "",
      attributes: { from: id },
      sentAt: invocation.now,
      receiveCount: 1,
      principal: node.principal,
    };
    return {
      space,
      message,
      epoch: undefined,
      membership: {
        kind: "status" as const,
        sender: { node: id, start: node.start, principal: node.principal, sentAt: invocation.now },
        statuses: of.map((life) => ({
          id: life.id,
          life: life.life,
          state: ComponentState.Removed,
          checkpointTs: 0n,
        })),
      },
      reports: [],
      replyQueue: "",
    };
  });
  yield* handleMembership(session, inputs, () => undefined);
  yield* flush(session, observer);
  return lives;
}
