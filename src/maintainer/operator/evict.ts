import type { DispatcherKey } from "../../barrier/dispatcher-id.ts";
import type { Life } from "../../barrier/roster.ts";
import { flush } from "../answers/flush.ts";
import { Observer } from "../base/observe.ts";
import type { Program } from "../base/program.ts";
import type { Space } from "../base/space.ts";
import { type Invocation, openSession } from "../batch.ts";
import { handleMembership } from "../roster/change.ts";
import { recreateLost } from "../roster/recreate.ts";

/** Who is to go: all dispatchers of a node, or one. */
export type Evicted = { readonly node: string } | { readonly dispatcher: DispatcherKey };

/** What became of it. */
export interface EvictResult {
  /** The lives that ended. */
  readonly lives: readonly Life[];
  /** There is no such node or dispatcher, and nothing was changed: the nodes that there are. Absent: there is. */
  readonly otherNodes?: readonly string[];
}

/**
 * Takes dispatchers out that are lost for good: their lives end as by `Removed`, what waited for them is judged again, and
 * other nodes are asked for them (protocol.md R9b). A dispatcher that was not lost after all comes back with a higher life.
 */
export function* evict(space: Space, who: Evicted, invocation: Invocation): Program<EvictResult> {
  const observer = new Observer();
  const session = openSession(space, invocation, observer, 1);
  if ((yield* session.refresh()) === undefined) return { lives: [], otherNodes: [] };
  const roster = yield* session.roster();
  const lives = roster.dispatchers
    .flatMap((chunk) => chunk.lives)
    .filter((life) => ("node" in who ? life.node === who.node : life.id === who.dispatcher));
  const byNode = Map.groupBy(lives, (life) => life.node);
  if ("node" in who && roster.nodes.has(who.node) && !byNode.has(who.node)) byNode.set(who.node, []);
  // Of one that is over already others are asked for it at once, as when the first attempt was cut short.
  const isOver = "dispatcher" in who && roster.ended(who.dispatcher) !== undefined;
  if (byNode.size === 0 && !isOver) return { lives, otherNodes: [...roster.nodes.keys()].sort() };
  const inputs = [...byNode].map(([id, of]) => {
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
        kind: "eviction" as const,
        sender: { node: id, start: node.start, principal: node.principal, sentAt: invocation.now },
        ids: of.map((life) => life.id),
        wholeNode: "node" in who,
      },
      reports: [],
      replyQueue: "",
    };
  });
  yield* handleMembership(session, inputs, () => undefined);
  yield* recreateLost(session, 0);
  yield* flush(session);
  return { lives };
}
