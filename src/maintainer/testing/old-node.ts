/**
 * A capture node that behaves as TiCDC's dispatcher manager does, its faults too (ticdc.md 3): a machine without clock
 * or queue, inputs in and messages out. It shares no code with the coordinator but the message types.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { schemas } from "../../protocol/codec.ts";
import {
  Action,
  BlockStage,
  type BlockStatusRequest,
  type ChangefeedID,
  ComponentState,
  type DispatcherID,
  type DispatcherStatus,
  type HeartBeatRequest,
  type HeartBeatResponse,
  InfluenceType,
  type MaintainerBootstrapResponse,
  ScheduleAction,
  type ScheduleDispatcherRequest,
  type State,
  StateSchema,
} from "../../protocol/messages.ts";

/** What comes down a dispatcher's stream. A row stands for DML; `resolved` lets time go on. */
export type StreamItem =
  | { readonly kind: "event"; readonly state: MessageInitShape<typeof StateSchema> }
  | { readonly kind: "row" | "resolved"; readonly ts: bigint };

/** What a dispatcher did downstream. */
export interface Effect {
  readonly did: "write" | "pass" | "row";
  readonly id: string;
  readonly ts: bigint;
  readonly isSyncPoint: boolean;
}

export type Output =
  | { readonly type: "BlockStatusRequest"; readonly body: BlockStatusRequest }
  | { readonly type: "HeartBeatRequest"; readonly body: HeartBeatRequest };

interface Pending {
  readonly ts: bigint;
  readonly isSyncPoint: boolean;
  readonly state: State;
  /** What its sink does, with what the action said of the event: until it has, nothing else is heard (TD18). */
  executing?: { readonly isSyncPoint: boolean };
}

interface Resend {
  readonly state: State;
  at: number;
}

interface Dispatcher {
  readonly id: string;
  readonly dispatcherId: DispatcherID;
  readonly tableId: bigint;
  schemaId: bigint;
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly startTs: bigint;
  readonly skipDMLAsStartTs: boolean;
  /** Whether its span is known to be a whole table: empty keys are none (ticdc.md TD5). */
  readonly complete: boolean;
  resolvedTs: bigint;
  pending: Pending | undefined;
  /** The table trigger only: a DB or All event that waits until everything is acknowledged (TD6, TD9). */
  held: Pending | undefined;
  pendingAcks: number;
  /** Whether its stream has brought anything: what it is told before is dropped (TD19). */
  working: boolean;
  readonly resends: Map<string, Resend>;
  readonly stream: StreamItem[];
  /** An event that it writes by itself, until its sink has. */
  alone: { readonly ts: bigint; readonly state: State } | undefined;
  /** Responses that wait until its sink is done (TD18). */
  readonly suspended: DispatcherStatus[];
}

/** TiCDC's repeat of what is not acknowledged, in ms (TD22). */
export const REPEAT_AFTER = 5_000;

function capOf({ resends, alone }: Dispatcher): bigint | undefined {
  const told = [...resends.values()].map((one) => one.state).filter((state) => !state.IsBlocked);
  const all = alone ? [...told, alone.state] : told;
  const adding = all.filter((state) => state.NeedAddedTables.length > 0).map((state) => state.BlockTs - 1n);
  return adding.length === 0 ? undefined : adding.reduce((a, b) => (a < b ? a : b));
}

/** It is at the event, and not past a table that it adds without an ACK (TD23). */
function checkpointOf(one: Dispatcher): bigint {
  const at = one.pending ?? one.alone;
  const reached = at ? at.ts - 1n : one.resolvedTs;
  const cap = capOf(one) ?? reached;
  return cap < reached ? cap : reached;
}

/** A table's own keys differ in one byte: `_r` is where its rows start, `_s` where they end. */
function isWhole(start: Uint8Array, end: Uint8Array): boolean {
  const differ = [...start.keys()].filter((at) => start[at] !== end[at]);
  const [at = 0] = differ;
  return start.length === end.length && differ.length === 1 && start[at] === 0x72 && end[at] === 0x73;
}

const named = (ts: bigint, isSyncPoint: boolean) => `${ts}/${isSyncPoint}`;
const idText = ({ high, low }: { high: bigint; low: bigint }) => `${high}/${low}`;

export class OldDispatcherManager {
  readonly #changefeed: ChangefeedID;
  readonly #dispatchers = new Map<string, Dispatcher>();
  readonly #effects: Effect[];
  #out: Output[] = [];
  readonly #slow: boolean;
  #epoch = 0n;
  #now = 0;

  /**
   * @param effects gets what it does, in order
   * @param slow its sinks take time: each write or pass ends with `executed`
   */
  constructor(
    changefeed: MessageInitShape<typeof schemas.MaintainerBootstrapResponse>["changefeedID"],
    effects: Effect[],
    slow = false,
  ) {
    this.#effects = effects;
    this.#slow = slow;
    this.#changefeed = create(schemas.MaintainerBootstrapResponse, { changefeedID: changefeed! })
      .changefeedID!;
  }

  /** What it has to say since it was asked last. */
  take(): Output[] {
    return this.#out.splice(0);
  }

  /** A dispatcher as the bootstrap creates it: the table trigger has table 0. */
  create(one: {
    readonly id: DispatcherID;
    readonly tableId: bigint;
    readonly schemaId: bigint;
    readonly start: Uint8Array;
    readonly end: Uint8Array;
    readonly startTs: bigint;
    readonly skipDMLAsStartTs?: boolean;
    readonly complete?: boolean;
  }): void {
    const { id, skipDMLAsStartTs = false, complete = true } = one;
    if (this.#dispatchers.has(idText(id))) return;
    this.#dispatchers.set(idText(id), {
      ...one,
      id: idText(id),
      dispatcherId: id,
      skipDMLAsStartTs,
      complete,
      resolvedTs: one.startTs,
      pending: undefined,
      held: undefined,
      pendingAcks: 0,
      working: false,
      resends: new Map(),
      stream: [],
      alone: undefined,
      suspended: [],
    });
  }

  has(id: { high: bigint; low: bigint }): boolean {
    return this.#dispatchers.has(idText(id));
  }

  /** Whether a dispatcher stands at an event. */
  standsAt(id: { high: bigint; low: bigint }): string | undefined {
    const one = this.#dispatchers.get(idText(id));
    const at = one?.pending ?? one?.held;
    return at && named(at.ts, at.isSyncPoint);
  }

  /** Its answer to a bootstrap request (ticdc.md 1.4): all dispatchers, with what they stand at. */
  bootstrap(): MaintainerBootstrapResponse {
    return create(schemas.MaintainerBootstrapResponse, {
      changefeedID: this.#changefeed,
      spans: [...this.#dispatchers.values()].map((one) => ({
        ID: one.dispatcherId,
        SchemaID: one.schemaId,
        span: { TableID: one.tableId, StartKey: one.start, EndKey: one.end },
        componentStatus: ComponentState.Working,
        checkpointTs: checkpointOf(one),
        ...(one.pending && {
          blockState: one.pending.executing
            ? { ...one.pending.state, stage: BlockStage.WRITING }
            : one.pending.state,
        }),
      })),
      maintainerEpoch: this.#epoch,
    });
  }

  /** Before which event its checkpoint must stay: one that adds tables, written by itself, without an ACK (TD10). */
  cap(id: { high: bigint; low: bigint }): bigint | undefined {
    const one = this.#dispatchers.get(idText(id));
    return one && capOf(one);
  }

  /** Whether a dispatcher may be closed: its sink does nothing, and no table that it told of is without an ACK (TD24). */
  mayClose(id: { high: bigint; low: bigint }): boolean {
    const one = this.#dispatchers.get(idText(id));
    if (one === undefined) return true;
    return capOf(one) === undefined && one.alone === undefined && one.pending?.executing === undefined;
  }

  /** It is bootstrapped with an epoch: what is of a lower one means nothing any more. */
  follow(epoch: bigint): void {
    if (epoch > this.#epoch) this.#epoch = epoch;
  }

  /** Puts something into the stream of one dispatcher. */
  feed(id: { high: bigint; low: bigint }, item: StreamItem): void {
    const one = this.#dispatchers.get(idText(id));
    if (one === undefined) return;
    one.stream.push(item);
    this.#goOn(one);
  }

  /** The sink of a dispatcher has done what it was at. */
  executed(id: { high: bigint; low: bigint }): void {
    const one = this.#dispatchers.get(idText(id));
    if (one === undefined) return;
    const { alone, pending } = one;
    if (alone) {
      one.alone = undefined;
      this.#tellsAlone(one, alone.ts, alone.state);
    } else if (pending?.executing) {
      one.pending = undefined;
      this.#done(one, pending.ts, pending.executing.isSyncPoint);
    }
    this.#goOn(one);
    for (const status of one.suspended.splice(0)) this.#hear(one, status);
  }

  /** Puts something into the streams of the dispatchers that it is for. */
  stream(item: StreamItem, tables?: readonly bigint[]): void {
    for (const one of this.#dispatchers.values()) {
      if (tables !== undefined && !tables.includes(one.tableId)) continue;
      one.stream.push(item);
      this.#goOn(one);
    }
  }

  /** Time goes on: what is not acknowledged is reported again. */
  tick(now: number): void {
    this.#now = now;
    for (const one of this.#dispatchers.values())
      for (const resend of one.resends.values())
        if (now - resend.at >= REPEAT_AFTER) {
          resend.at = now;
          this.#report(one, resend.state);
        }
  }

  /** The complete heartbeat: every dispatcher works (ticdc.md 1.2). */
  heartbeat(): void {
    const statuses = [...this.#dispatchers.values()].map((one) => ({
      ID: one.dispatcherId,
      componentStatus: ComponentState.Working,
      checkpointTs: checkpointOf(one),
    }));
    this.#heartbeat(statuses);
  }

  #heartbeat(statuses: MessageInitShape<typeof schemas.HeartBeatRequest>["statuses"]): void {
    const body = create(schemas.HeartBeatRequest, {
      changefeedID: this.#changefeed,
      statuses: statuses ?? [],
    });
    this.#out.push({ type: "HeartBeatRequest", body });
  }

  /** Creates or removes a dispatcher as it is told. Nothing is registered: its first status says that it works. */
  schedule({ config, scheduleAction, maintainerEpoch }: ScheduleDispatcherRequest): void {
    if (!this.#obeys(maintainerEpoch)) return;
    const id = config!.dispatcherID!;
    if (scheduleAction === ScheduleAction.Remove) {
      this.remove(id);
      return;
    }
    if (this.#dispatchers.has(idText(id))) return;
    const { TableID: tableId, StartKey: start, EndKey: end } = config!.span!;
    const { schemaID: schemaId, startTs, skipDMLAsStartTs } = config!;
    const complete = isWhole(start, end);
    this.create({ id, tableId, schemaId, start, end, startTs, skipDMLAsStartTs, complete });
    this.#heartbeat([{ ID: id, componentStatus: ComponentState.Working, checkpointTs: startTs }]);
  }

  /** Closes a dispatcher: what it stands at is forgotten (TD24). */
  remove(id: DispatcherID): void {
    if (!this.#dispatchers.delete(idText(id))) return;
    this.#heartbeat([{ ID: id, componentStatus: ComponentState.Stopped }]);
  }

  /** Each entry in the order ACK, ignored, action (ticdc.md 3.4). */
  respond({ dispatcherStatuses, maintainerEpoch }: HeartBeatResponse): void {
    if (!this.#obeys(maintainerEpoch)) return;
    for (const status of dispatcherStatuses)
      for (const one of this.#influenced(status.influencedDispatchers!)) this.#hear(one, status);
  }

  #hear(one: Dispatcher, status: DispatcherStatus): void {
    if (!one.working) return;
    if (one.alone || one.pending?.executing) {
      one.suspended.push(status);
      return;
    }
    const { ack, ignoredBlockStatus, action } = status;
    if (ack) this.#acked(one, ack.CommitTs, ack.IsSyncPoint);
    if (ignoredBlockStatus) {
      const { pending } = one;
      const { CommitTs, IsSyncPoint } = ignoredBlockStatus;
      if (pending?.ts === CommitTs && pending.isSyncPoint === IsSyncPoint) {
        this.#report(one, pending.state);
        return;
      }
    }
    if (action) this.#act(one, action.action, action.CommitTs, action.IsSyncPoint);
  }

  #obeys(epoch: bigint): boolean {
    if (epoch < this.#epoch) return false;
    this.#epoch = epoch;
    return true;
  }

  /** By influence the manager looks itself who is meant; `excludeDispatcherId` is read and means nothing (ticdc.md 1.3). */
  #influenced(whom: NonNullable<HeartBeatResponse["dispatcherStatuses"][number]["influencedDispatchers"]>) {
    const all = [...this.#dispatchers.values()];
    switch (whom.InfluenceType) {
      case InfluenceType.All:
        return all;
      case InfluenceType.DB:
        return all.filter((one) => one.schemaId === whom.SchemaID || one.tableId === 0n);
      default:
        return whom.DispatcherIDs.flatMap((id) => this.#dispatchers.get(idText(id)) ?? []);
    }
  }

  #acked(one: Dispatcher, ts: bigint, isSyncPoint: boolean): void {
    if (!one.resends.delete(named(ts, isSyncPoint)) || one.tableId !== 0n) return;
    one.pendingAcks--;
    if (one.pendingAcks === 0 && one.held) {
      const { held } = one;
      one.held = undefined;
      this.#wait(one, held);
    }
  }

  /** TD15, first match wins. Only the commitTs is compared (T-A5). */
  #act(one: Dispatcher, action: Action, ts: bigint, isSyncPoint: boolean): void {
    const { pending } = one;
    if (pending === undefined && ts > one.resolvedTs) return;
    if (pending?.ts === ts) {
      const did = action === Action.Write ? "write" : "pass";
      this.#effects.push({ did, id: one.id, ts: pending.ts, isSyncPoint: pending.isSyncPoint });
      pending.executing = { isSyncPoint };
      if (!this.#slow) this.executed(one.dispatcherId);
    } else if (pending && pending.ts < ts) return;
    else this.#done(one, ts, isSyncPoint);
  }

  /** DONE says what the action said, not what the event was (TD15, T-A5); it names no kind. */
  #done(one: Dispatcher, BlockTs: bigint, IsSyncPoint: boolean): void {
    this.#report(one, { IsBlocked: true, stage: BlockStage.DONE, BlockTs, IsSyncPoint });
  }

  #report(one: Dispatcher, state: MessageInitShape<typeof StateSchema>): void {
    const body = create(schemas.BlockStatusRequest, {
      changefeedID: this.#changefeed,
      blockStatuses: [{ ID: one.dispatcherId, state }],
    });
    this.#out.push({ type: "BlockStatusRequest", body });
  }

  #goOn(one: Dispatcher): void {
    while (one.pending === undefined && one.held === undefined && one.alone === undefined) {
      const item = one.stream.shift();
      if (item === undefined) return;
      if (item.kind === "event") this.#meets(one, item.state);
      else {
        const { kind, ts } = item;
        one.working ||= ts > one.startTs;
        const skipped = ts <= one.startTs || (one.skipDMLAsStartTs && ts === one.startTs + 1n);
        if (kind === "row" && !skipped)
          this.#effects.push({ did: "row", id: one.id, ts, isSyncPoint: false });
        // More may come at a row's commitTs; and with sinks that take time nobody has flushed it yet (TD23).
        const row = this.#slow ? 0n : ts - 1n;
        const upTo = kind === "row" ? row : ts;
        if (upTo > one.resolvedTs) one.resolvedTs = upTo;
      }
    }
  }

  #meets(one: Dispatcher, met: MessageInitShape<typeof StateSchema>): void {
    const state = create(StateSchema, met);
    const { BlockTs: ts, IsSyncPoint: isSyncPoint } = state;
    // A syncpoint at the start is an event of this life, a DDL there is not (TD25).
    if (isSyncPoint ? ts < one.startTs : ts <= one.startTs) return;
    one.working = true;
    for (const change of state.UpdatedSchemas)
      if (change.TableID === one.tableId) one.schemaId = change.NewSchemaID;
    const wide = state.BlockTables?.InfluenceType !== InfluenceType.Normal;
    const alone = !wide && (state.BlockTables?.TableIDs.length ?? 0) <= 1 && one.complete;
    if (!isSyncPoint && (state.BlockTables === undefined || alone)) {
      this.#writesAlone(one, ts, state);
      return;
    }
    const pending: Pending = {
      ts,
      isSyncPoint,
      state: create(StateSchema, { ...state, IsBlocked: true, stage: BlockStage.WAITING }),
    };
    // Normal is never held (TD6).
    if (one.tableId === 0n && wide && one.pendingAcks > 0) one.held = pending;
    else this.#wait(one, pending);
  }

  #wait(one: Dispatcher, pending: Pending): void {
    one.pending = pending;
    if (one.tableId === 0n) one.pendingAcks++;
    one.resends.set(named(pending.ts, pending.isSyncPoint), { state: pending.state, at: this.#now });
    this.#report(one, pending.state);
  }

  #writesAlone(one: Dispatcher, ts: bigint, state: State): void {
    one.alone = { ts, state };
    this.#effects.push({ did: "write", id: one.id, ts, isSyncPoint: false });
    if (!this.#slow) this.executed(one.dispatcherId);
  }

  #tellsAlone(one: Dispatcher, ts: bigint, { NeedAddedTables, NeedDroppedTables }: State): void {
    if (one.tableId !== 0n || (NeedAddedTables.length === 0 && NeedDroppedTables === undefined)) return;
    const none = create(StateSchema, {
      BlockTs: ts,
      NeedAddedTables,
      ...(NeedDroppedTables && { NeedDroppedTables }),
    });
    one.pendingAcks++;
    one.resends.set(named(ts, false), { state: none, at: this.#now });
    this.#report(one, none);
  }
}
