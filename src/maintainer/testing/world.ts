/**
 * A deployment in memory for tests of behaviour: messages in, messages out. The store and the queues have the
 * semantics of the real ones; the maintainer is the one that ships.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { dispatcherId, dispatcherKey } from "../../barrier/dispatcher-id.ts";
import {
  decode,
  type Encoding,
  encode,
  type MessageOf,
  type MessageType,
  schemas,
} from "../../protocol/codec.ts";
import { type EventKey, keyText } from "../../protocol/event-key.ts";
import {
  Action,
  BlockStage,
  type BootstrapTableSpanSchema,
  type ComponentState,
  DoneAction,
  InfluenceType,
  type StateSchema,
} from "../../protocol/messages.ts";
import { MemoryStore } from "../../storage/memory.ts";
import type { ActionMessage, DeadLetter, Port, SendResult } from "../base/port.ts";
import { run } from "../base/program.ts";
import { SLICE_TYPE, type Slice, sliceText } from "../base/slice.ts";
import { type BatchResult, handleBatch, type Memory, newMemory } from "../batch.ts";
import type { StatusMessage } from "../intake/input.ts";
import { DEFAULT_SETTINGS, type Settings } from "../session/session.ts";
import { type SweepResult, sweep } from "../sweep.ts";

export const PREFIX = "weir-action-";
export const CHANGEFEED = { high: 1n, low: 2n, name: "orders", keyspace: "default" };

/** Ids that read well: d(7) is 0…07. */
export const d = (number: number) => dispatcherKey({ high: 0n, low: BigInt(number) });

export interface TestNode {
  readonly id: string;
  /** undefined: an old node. */
  readonly start?: number;
  readonly queue: string;
  readonly encoding?: Encoding;
}

export const node = (id: string): TestNode => ({ id, queue: `${PREFIX}${id}`, start: 1 });
/** A node that sends neither `start` nor lives. */
export const oldNode = (id: string): TestNode => ({ id, queue: `${PREFIX}${id}` });

export interface TestSpan {
  readonly id: string;
  readonly table: bigint;
  readonly schema?: bigint;
  readonly life?: bigint;
  readonly start?: string;
  readonly end?: string;
  readonly checkpoint?: bigint;
  readonly state?: ComponentState;
  readonly mode?: bigint;
  readonly blockState?: MessageInitShape<typeof StateSchema>;
}

/** What a dispatcher was told, one line each: `write 100-0 …07@1`. */
export interface Told {
  readonly kind: "ignored" | "ack" | "write" | "pass";
  readonly key: string;
  readonly ids: string[];
  readonly lives: bigint[];
  readonly influence: InfluenceType;
}

export const ddl = (commitTs: bigint): EventKey => ({ commitTs, isSyncPoint: false });
export const syncpoint = (commitTs: bigint): EventKey => ({ commitTs, isSyncPoint: true });

export const normal = (...tables: bigint[]) => ({ InfluenceType: InfluenceType.Normal, TableIDs: tables });
export const schema = (id: bigint) => ({ InfluenceType: InfluenceType.DB, SchemaID: id });
export const everybody = { InfluenceType: InfluenceType.All };

export class World {
  readonly store: MemoryStore;
  readonly queues = new Map<string, ActionMessage[]>();
  readonly deadLetters: DeadLetter[] = [];
  /** Slices that invocations left to others, in the status queue. */
  handedOver: StatusMessage[] = [];
  readonly missingQueues = new Set<string>();
  readonly failingQueues = new Set<string>();
  /** Store requests by method. */
  readonly requests: Record<string, number> = {};
  readonly failedConditions: string[] = [];
  memory: Memory = newMemory();
  now = 1_700_000_000_000;
  settings: Settings = { ...DEFAULT_SETTINGS, actionQueuePrefix: PREFIX };
  #invocations = 0;
  #messages = 0;

  constructor(store = new MemoryStore()) {
    this.store = store;
  }

  get port(): Port {
    const { store } = this;
    const counted = new Proxy(store, {
      get: (target, name: keyof MemoryStore) => {
        const member = target[name];
        if (typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          this.requests[name] = (this.requests[name] ?? 0) + 1;
          const result = await (member as (...args: unknown[]) => Promise<unknown>).apply(target, args);
          const failed =
            typeof result === "object" &&
            result !== null &&
            (("committed" in result && result.committed === false) ||
              ("done" in result && result.done === false));
          if (failed) this.failedConditions.push(name);
          return result;
        };
      },
    });
    return Object.assign(Object.create(counted) as MemoryStore, {
      send: async (messages: readonly ActionMessage[]) => messages.map((message) => this.#send(message)),
      handOver: async (slices: readonly Slice[]) =>
        void this.handedOver.push(...slices.map((slice) => this.#sliceMessage(slice))),
      deadLetter: async (letter: DeadLetter) => void this.deadLetters.push(letter),
      pause: async () => undefined,
    });
  }

  /**
   * The port with a hook around every operation: it may wait (a frozen invocation) or throw (a crash). `index` counts the
   * invocation's operations from 0.
   */
  hookedPort(
    hook: (when: "before" | "after", method: keyof Port, index: number) => Promise<void> | void,
  ): Port {
    let next = 0;
    const { port } = this;
    return new Proxy(port, {
      get:
        (target, name: keyof Port) =>
        async (...args: unknown[]) => {
          const index = next++;
          await hook("before", name, index);
          const result = await (target[name] as (...args: unknown[]) => Promise<unknown>)(...args);
          await hook("after", name, index);
          return result;
        },
    });
  }

  /** Delivers messages to an environment of its own whose operations go through a hook. */
  async handleHooked(
    hook: Parameters<World["hookedPort"]>[0],
    ...messages: StatusMessage[]
  ): Promise<BatchResult> {
    const invocation = { ...this.invocation(), memory: newMemory() };
    return run(handleBatch(messages, invocation), this.hookedPort(hook));
  }

  /** The same in the environment that remembers. */
  async handleHookedWarm(
    hook: Parameters<World["hookedPort"]>[0],
    ...messages: StatusMessage[]
  ): Promise<BatchResult> {
    return run(handleBatch(messages, this.invocation()), this.hookedPort(hook));
  }

  #sliceMessage(slice: Slice): StatusMessage {
    this.#messages++;
    return {
      messageId: `m${this.#messages}`,
      body: sliceText(slice),
      attributes: { type: SLICE_TYPE },
      sentAt: this.now,
      receiveCount: 1,
      principal: "",
    };
  }

  #send(message: ActionMessage): SendResult {
    if (this.missingQueues.has(message.queue)) return "no-such-queue";
    if (this.failingQueues.has(message.queue)) return "failed";
    const queue = this.queues.get(message.queue) ?? [];
    queue.push(message);
    this.queues.set(message.queue, queue);
    return "sent";
  }

  /** Delivers messages in one batch. */
  async handle(...messages: StatusMessage[]): Promise<BatchResult> {
    return run(handleBatch(messages, this.invocation()), this.port);
  }

  /** Delivers messages in one batch to another execution environment, which remembers nothing. */
  async handleCold(...messages: StatusMessage[]): Promise<BatchResult> {
    return run(handleBatch(messages, { ...this.invocation(), memory: newMemory() }), this.port);
  }

  async sweep(): Promise<SweepResult> {
    return run(sweep({ ...this.invocation(), memory: newMemory() }), this.port);
  }

  invocation() {
    this.#invocations++;
    return {
      now: this.now,
      nonce: `i${this.#invocations}`,
      settings: this.settings,
      memory: this.memory,
    };
  }

  /** A message of any type, as a node sends it. */
  message<T extends MessageType>(
    from: TestNode,
    type: T,
    body: MessageOf<T> | string,
    attributes: Record<string, string> = {},
  ): StatusMessage {
    this.#messages++;
    const encoding = from.encoding ?? "json";
    return {
      messageId: `m${this.#messages}`,
      body: typeof body === "string" ? body : encode(type, encoding, body),
      attributes: {
        type,
        from: from.id,
        ...(encoding === "protobuf" && { encoding }),
        ...(from.start !== undefined && { start: String(from.start) }),
        ...attributes,
      },
      sentAt: this.now,
      receiveCount: 1,
      principal: "",
    };
  }

  opening(
    from: TestNode,
    trigger: string,
    tables: readonly { id: bigint; schema: bigint }[],
    { epoch = 0n, part = 1, parts = 1, redo = false, at = 0n } = {},
  ): StatusMessage {
    const schemaIds = [...new Set(tables.map((table) => table.schema))];
    const listed = schemaIds.map((SchemaID) => ({
      SchemaID,
      SchemaName: `s${SchemaID}`,
      Tables: tables
        .filter((table) => table.schema === SchemaID)
        .map((table) => ({ TableID: table.id, TableName: `t${table.id}` })),
    }));
    return this.message(
      from,
      "MaintainerPostBootstrapRequest",
      create(schemas.MaintainerPostBootstrapRequest, {
        changefeedID: CHANGEFEED,
        tableTriggerEventDispatcherId: dispatcherId(trigger),
        schemas: listed,
        ...(redo && { redoSchemas: listed }),
        maintainerEpoch: epoch,
        openedAt: at,
      }),
      { replyQueue: from.queue, ...(parts > 1 && { part: String(part), parts: String(parts) }) },
    );
  }

  registration(
    from: TestNode,
    spans: readonly TestSpan[],
    { epoch = 0n, queue = from.queue, mode = 0n }: { epoch?: bigint; queue?: string; mode?: bigint } = {},
  ): StatusMessage {
    const text = new TextEncoder();
    return this.message(
      from,
      "MaintainerBootstrapResponse",
      create(schemas.MaintainerBootstrapResponse, {
        changefeedID: CHANGEFEED,
        maintainerEpoch: epoch,
        mode,
        spans: spans.map(
          (span): MessageInitShape<typeof BootstrapTableSpanSchema> => ({
            ID: dispatcherId(span.id),
            SchemaID: span.schema ?? (span.table === 0n ? 0n : 1n),
            span: {
              TableID: span.table,
              StartKey: text.encode(span.start ?? ""),
              EndKey: text.encode(span.end ?? ""),
            },
            componentStatus: span.state ?? 0,
            checkpointTs: span.checkpoint ?? 1n,
            life: from.start === undefined ? 0n : (span.life ?? 1n),
            mode: span.mode ?? 0n,
            ...(span.blockState && { blockState: span.blockState }),
          }),
        ),
      }),
      { replyQueue: queue },
    );
  }

  status(
    from: TestNode,
    id: string,
    life: bigint,
    state: ComponentState,
    checkpointTs = 0n,
    mode = 0n,
  ): StatusMessage {
    return this.message(
      from,
      "HeartBeatRequest",
      create(schemas.HeartBeatRequest, {
        changefeedID: CHANGEFEED,
        statuses: [{ ID: dispatcherId(id), life, componentStatus: state, checkpointTs, mode }],
      }),
    );
  }

  /** A heartbeat of several dispatchers that replicate, all as far as each other. */
  statuses(from: TestNode, ids: readonly string[], checkpointTs: bigint, life = 1n): StatusMessage {
    const statuses = ids.map((id) => ({ ID: dispatcherId(id), life, checkpointTs }));
    return this.message(
      from,
      "HeartBeatRequest",
      create(schemas.HeartBeatRequest, { changefeedID: CHANGEFEED, statuses }),
    );
  }

  report(
    from: TestNode,
    dispatchers: readonly (string | { id: string; life: bigint })[],
    state: MessageInitShape<typeof StateSchema>,
    mode = 0n,
  ): StatusMessage {
    const named = dispatchers.map((one) => (typeof one === "string" ? { id: one, life: 1n } : one));
    return this.message(
      from,
      "BlockStatusRequest",
      create(schemas.BlockStatusRequest, {
        changefeedID: CHANGEFEED,
        mode,
        blockStatuses: [
          {
            state,
            dispatcherIDs: named.map((one) => dispatcherId(one.id)),
            lives: from.start === undefined ? [] : named.map((one) => one.life),
          },
        ],
      }),
    );
  }

  waiting(
    from: TestNode,
    dispatchers: readonly (string | { id: string; life: bigint })[],
    key: EventKey,
    state: MessageInitShape<typeof StateSchema>,
    mode = 0n,
  ): StatusMessage {
    return this.report(
      from,
      dispatchers,
      {
        IsBlocked: true,
        stage: BlockStage.WAITING,
        BlockTs: key.commitTs,
        IsSyncPoint: key.isSyncPoint,
        ...state,
      },
      mode,
    );
  }

  done(
    from: TestNode,
    dispatchers: readonly (string | { id: string; life: bigint })[],
    key: EventKey,
    action: "write" | "pass" | "untyped",
    mode = 0n,
  ): StatusMessage {
    const doneAction = {
      write: DoneAction.WRITE_DONE,
      pass: DoneAction.PASS_DONE,
      untyped: DoneAction.UNSPECIFIED,
    }[action];
    return this.report(
      from,
      dispatchers,
      {
        IsBlocked: true,
        stage: BlockStage.DONE,
        BlockTs: key.commitTs,
        IsSyncPoint: key.isSyncPoint,
        doneAction,
      },
      mode,
    );
  }

  none(
    from: TestNode,
    dispatcher: string | { id: string; life: bigint },
    key: EventKey,
    state: MessageInitShape<typeof StateSchema>,
  ): StatusMessage {
    return this.report(from, [dispatcher], { IsBlocked: false, BlockTs: key.commitTs, ...state });
  }

  /** Takes what came to a node's queue. */
  told(queue: string | TestNode): Told[] {
    const name = typeof queue === "string" ? queue : queue.queue;
    const messages = this.queues.get(name) ?? [];
    this.queues.set(
      name,
      messages.filter((message) => message.type !== "HeartBeatResponse"),
    );
    return messages.flatMap((message) =>
      message.type === "HeartBeatResponse"
        ? decode("HeartBeatResponse", message.encoding, message.body).dispatcherStatuses.flatMap(toldOf)
        : [],
    );
  }

  /** Takes the messages of one other type that came to a queue, decoded. */
  take(queue: TestNode, type: ActionMessage["type"]): unknown[] {
    const messages = this.queues.get(queue.queue) ?? [];
    this.queues.set(
      queue.queue,
      messages.filter((message) => message.type !== type),
    );
    return messages
      .filter((message) => message.type === type)
      .map((message) =>
        type === "RegistrationResult"
          ? JSON.parse(message.body)
          : decode(type as "ScheduleDispatcherRequest", message.encoding, message.body),
      );
  }

  /** The open barrier's phase; undefined: not open. */
  async phase(key: EventKey, mode = 0): Promise<string | undefined> {
    const root = [...this.store.roots].find(([text]) => text.endsWith(`/${mode}`))?.[1];
    return root?.steps.get(keyText(key))?.phase;
  }
}

function toldOf(status: MessageOf<"HeartBeatResponse">["dispatcherStatuses"][number]): Told[] {
  const about = status.ack ?? status.ignoredBlockStatus ?? status.action;
  if (about === undefined) return [];
  const kind = status.ack
    ? "ack"
    : status.ignoredBlockStatus
      ? "ignored"
      : status.action!.action === Action.Write
        ? "write"
        : "pass";
  return [
    {
      kind,
      key: keyText({ commitTs: about.CommitTs, isSyncPoint: about.IsSyncPoint }),
      ids: status.influencedDispatchers!.DispatcherIDs.map(dispatcherKey),
      lives: status.lives,
      influence: status.influencedDispatchers!.InfluenceType,
    },
  ];
}

/** The same message, delivered again. */
export function again(message: StatusMessage): StatusMessage {
  return { ...message, receiveCount: message.receiveCount + 1 };
}

/** A gate for a hook: an invocation stops at one operation until it is let go. */
export function freezeAt(wanted: number): {
  readonly hook: Parameters<World["hookedPort"]>[0];
  readonly frozen: Promise<boolean>;
  release(): void;
} {
  const gate = Promise.withResolvers<void>();
  const frozen = Promise.withResolvers<boolean>();
  return {
    hook: async (when, _, index) => {
      if (when !== "before" || index !== wanted) return;
      frozen.resolve(true);
      await gate.promise;
    },
    frozen: frozen.promise,
    release: () => {
      frozen.resolve(false);
      gate.resolve();
    },
  };
}

/** The ids that were told something of a kind about a key. */
export function idsOf(told: readonly Told[], kind: Told["kind"], key: EventKey): string[] {
  return told
    .filter((one) => one.kind === kind && one.key === keyText(key))
    .flatMap((one) => one.ids)
    .sort();
}
