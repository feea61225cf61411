import { create } from "@bufbuild/protobuf";
import { dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import {
  BlockStage,
  type BlockStatusRequest,
  type DispatcherID,
  type DispatcherStatus,
  DispatcherStatusSchema,
  type HeartBeatResponse,
  HeartBeatResponseSchema,
  InfluenceType,
  type MaintainerBootstrapResponse,
} from "../../src/protocol/messages.ts";
import { isBefore } from "./order.ts";

interface Standing {
  readonly commitTs: bigint;
  readonly isSyncPoint: boolean;
  readonly done: boolean;
  /** Its action was handed over: another one would wait behind it, and be taken for what the node comes to next. */
  readonly given?: true;
}

/**
 * What stands between an old node and its queue, as `clients/go` does it (docs/ticdc-integration.md): an action goes to who waits for
 * exactly its event, once, or of whom nothing is known at that commitTs. Without it a copy of an action may be taken for another
 * event's.
 */
export class OldGate {
  readonly #standings = new Map<string, Standing>();
  #epoch = 0n;

  reported({ blockStatuses }: BlockStatusRequest): void {
    for (const { ID, state } of blockStatuses) {
      if (!ID || !state?.IsBlocked) continue;
      const at = { commitTs: state.BlockTs, isSyncPoint: state.IsSyncPoint };
      const known = this.#standings.get(dispatcherKey(ID));
      const done = state.stage === BlockStage.DONE;
      if (known === undefined || isBefore(known, at)) this.#standings.set(dispatcherKey(ID), { ...at, done });
      else if (done && !isBefore(at, known)) this.#standings.set(dispatcherKey(ID), { ...at, done });
    }
  }

  /** A changefeed that starts over: what its dispatchers stand at is said here. */
  registered({ spans, maintainerEpoch }: MaintainerBootstrapResponse): void {
    if (maintainerEpoch <= this.#epoch) return;
    this.#epoch = maintainerEpoch;
    this.#standings.clear();
    for (const { ID, blockState: state } of spans) {
      if (!ID || !state?.IsBlocked) continue;
      const at = { commitTs: state.BlockTs, isSyncPoint: state.IsSyncPoint };
      const given = state.stage === BlockStage.WRITING && { given: true as const };
      this.#standings.set(dispatcherKey(ID), { ...at, done: state.stage === BlockStage.DONE, ...given });
    }
  }

  /** Whoever has this id later has reported nothing. */
  forget(id: string): void {
    this.#standings.delete(id);
  }

  /** What of a response may go to the node. */
  passing(response: HeartBeatResponse): HeartBeatResponse {
    const statuses = response.dispatcherStatuses.flatMap((status) => this.#matching(status));
    return create(HeartBeatResponseSchema, { ...response, dispatcherStatuses: statuses });
  }

  #matching(status: DispatcherStatus): DispatcherStatus[] {
    const { action, influencedDispatchers: whom } = status;
    if (!action || !whom) return [status];
    const waits = (at: Standing) =>
      at.commitTs === action.CommitTs && at.isSyncPoint === action.IsSyncPoint && !at.done && !at.given;
    const takes = (id: string) => {
      const at = this.#standings.get(id);
      return at === undefined || at.commitTs !== action.CommitTs || waits(at);
    };
    const named = (DispatcherIDs: DispatcherID[]) => {
      for (const key of DispatcherIDs.map((id) => dispatcherKey(id))) {
        const at = this.#standings.get(key);
        if (at && waits(at)) this.#standings.set(key, { ...at, given: true });
      }
      return create(DispatcherStatusSchema, {
        action,
        influencedDispatchers: { InfluenceType: 2, DispatcherIDs },
      });
    };
    const rest = create(DispatcherStatusSchema, { ...status, action: undefined as never });
    const others = status.ack || status.ignoredBlockStatus ? [rest] : [];
    if (whom.InfluenceType === InfluenceType.Normal) {
      const some = whom.DispatcherIDs.filter((id) => takes(dispatcherKey(id)));
      return some.length === 0 ? others : [...others, named(some)];
    }
    const waiting = [...this.#standings].flatMap(([id, at]) =>
      waits(at)
        ? [{ high: BigInt(`0x${id.slice(0, 16)}`), low: BigInt(`0x${id.slice(16)}`) } as DispatcherID]
        : [],
    );
    if (waiting.length > 0) return [...others, named(waiting)];
    return [...this.#standings.keys()].every(takes) ? [status] : others;
  }
}
