/** A changefeed of any size, as capture nodes would have registered it, and what its nodes report. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { LIVES_PER_CHUNK, TABLES_PER_CHUNK } from "../barrier/chunk-room.ts";
import { dispatcherKey } from "../barrier/dispatcher-id.ts";
import { type Chunk, EMPTY_META, type Life, type RosterMeta } from "../barrier/roster.ts";
import { type Space, spaceOf } from "../maintainer/base/space.ts";
import { encode, schemas } from "../protocol/codec.ts";
import type { EventKey } from "../protocol/event-key.ts";
import {
  BlockStage,
  ComponentState,
  type DispatcherID,
  DispatcherIDSchema,
  DoneAction,
  InfluenceType,
  type StateSchema,
} from "../protocol/messages.ts";
import { tableRange } from "../protocol/span.ts";
import type { Store } from "../storage/memory.ts";

export const T0 = 1_700_000_100_000;

export type InfluenceKind = "All" | "DB" | "Normal";

export interface Shape {
  readonly dispatchers: number;
  readonly nodes: number;
  /** Whose the action queues are: a node's for all its dispatchers, or each dispatcher's own. */
  readonly queues: "node" | "dispatcher";
  /** Whether a node folds what its dispatchers report, or each sends a message of its own. */
  readonly reports: "folded" | "single";
  /** Normal: over one table that all dispatchers have a span of; otherwise each has a table. */
  readonly influence: InfluenceKind;
}

/** A node for each thousand dispatchers, and ten at least. */
export function nodesFor(dispatchers: number): number {
  return Math.max(10, Math.ceil(dispatchers / 1000));
}

export const PREFIX = "weir-action-";
/** A commitTs is some milliseconds since 1970 and 18 bits more. */
export const FIRST_TS = 449_779_372_969_249_750n;
export const LIFE = 1_700_000_000_000n;
const START = 1_699_999_999_000n;
const SPLIT_TABLE = 100n;
/** Dispatchers in one message of a node: some 80 bytes each, far below 256 KiB. */
const PER_MESSAGE = 2_000;

export interface Member {
  readonly id: DispatcherID;
  readonly key: string;
  readonly queue: string;
}

export interface FleetNode {
  readonly name: string;
  readonly queue: string;
  readonly members: Member[];
}

/** Numbers that look like random ones and are the same in every run (splitmix64). */
function* numbers(seed: bigint): Generator<bigint, never> {
  for (let state = seed; ; ) {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let mixed = state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    yield mixed ^ (mixed >> 31n);
  }
}

const hex = (number: bigint) => number.toString(16).padStart(16, "0");

export class Fleet {
  readonly shape: Shape;
  readonly changefeed: { high: bigint; low: bigint; name: string; keyspace: string };
  readonly space: Space;
  readonly nodes: FleetNode[] = [];
  /** The table trigger; it is on the first node. */
  readonly trigger: Member;
  readonly #lives: Life[][] = [];

  /** @param number tells changefeeds of one deployment apart */
  constructor(shape: Shape, number = 1) {
    this.shape = shape;
    const random = numbers(BigInt(number));
    this.changefeed = {
      high: random.next().value,
      low: random.next().value,
      name: "orders",
      keyspace: "default",
    };
    this.space = spaceOf(this.changefeed, 0n);
    const memberOn = (node: Omit<FleetNode, "members">): Member => {
      const id = create(DispatcherIDSchema, { high: random.next().value, low: random.next().value });
      const key = dispatcherKey(id);
      return { id, key, queue: shape.queues === "node" ? node.queue : `${PREFIX}${key}` };
    };
    const perNode = Math.ceil(shape.dispatchers / shape.nodes);
    let placed = 0;
    for (let index = 0; index < shape.nodes; index++) {
      const one = random.next().value;
      const name = `${hex(one).slice(0, 8)}-${hex(random.next().value)}`;
      const node: FleetNode = { name, queue: `${PREFIX}${name}`, members: [] };
      const lives: Life[] = [];
      for (; placed < Math.min(shape.dispatchers, (index + 1) * perNode); placed++) {
        const member = memberOn(node);
        node.members.push(member);
        lives.push(this.#life(member, name, lives.length, placed));
      }
      this.nodes.push(node);
      this.#lives.push(lives);
    }
    const first = this.nodes[0]!;
    this.trigger = memberOn(first);
    first.members.push(this.trigger);
    const life = {
      ...this.#life(this.trigger, first.name, this.#lives[0]!.length, 0),
      ...TRIGGER_SPAN,
      schemaId: 0n,
    };
    this.#lives[0]!.push(life);
  }

  #life(member: Member, node: string, slot: number, index: number): Life {
    return {
      slot: slot % LIVES_PER_CHUNK,
      id: member.key,
      life: LIFE,
      node,
      queue: member.queue,
      schemaId: 1n,
      state: ComponentState.Working,
      stateAt: Number(LIFE),
      since: FIRST_TS - 1n,
      schemaSince: 0n,
      addedAt: 1,
      schemaAt: 1,
      ...this.span(index),
    };
  }

  /** The table and the range of the dispatcher with this index; -1: of the table trigger. */
  span(index: number): { tableId: bigint; start: Uint8Array; end: Uint8Array } {
    if (index < 0) return TRIGGER_SPAN;
    if (this.shape.influence !== "Normal") {
      const tableId = 101n + BigInt(index);
      return { tableId, ...tableRange(tableId) };
    }
    const whole = tableRange(SPLIT_TABLE);
    return {
      tableId: SPLIT_TABLE,
      start: index === 0 ? whole.start : splitKey(index),
      end: index === this.shape.dispatchers - 1 ? whole.end : splitKey(index + 1),
    };
  }

  /** The tables of the changefeed. */
  tables(): bigint[] {
    if (this.shape.influence === "Normal") return [SPLIT_TABLE];
    return Array.from({ length: this.shape.dispatchers }, (_, index) => 101n + BigInt(index));
  }

  /** Chunks as registrations of whole nodes make them. */
  chunks(): Chunk[] {
    let id = 1;
    const common = () => ({ id: id++, version: 1 });
    const nodes = this.nodes.map((node) => ({
      id: node.name,
      start: START,
      nodeQueue: node.queue,
      encoding: "json" as const,
      principal: "AROAEXAMPLEEXAMPLE",
    }));
    const chunks: Chunk[] = [{ kind: "nodes", ...common(), nodes }];
    const tables = this.tables().map((tableId) => ({ tableId, schemaId: 1n, since: 0n, schemaSince: 0n }));
    for (let from = 0; from < tables.length; from += TABLES_PER_CHUNK)
      chunks.push({
        kind: "tables",
        ...common(),
        tables: tables.slice(from, from + TABLES_PER_CHUNK),
        dropped: [],
      });
    for (const [index, lives] of this.#lives.entries())
      for (let from = 0; from < lives.length; from += LIVES_PER_CHUNK) {
        const part = lives.slice(from, from + LIVES_PER_CHUNK);
        const node = this.nodes[index]!.name;
        chunks.push({
          kind: "dispatchers",
          ...common(),
          node,
          nextSlot: part.length,
          lives: part,
          ended: [],
        });
      }
    return chunks;
  }

  /** Puts the roster into a store, as the last registration would have left it. @param now ms since 1970, of a registration of today */
  async settle(store: Store, now = T0): Promise<void> {
    const chunks = this.chunks().map((chunk, index) => ({
      chunk,
      pointer: { kind: chunk.kind, id: chunk.id, version: 1, name: `${requestId(0)}.1.${index}` },
    }));
    const meta: RosterMeta = {
      ...EMPTY_META,
      trigger: this.trigger.key,
      openedBy: this.nodes[0]!.name,
      openedByStart: START,
      parts: [1],
      partsExpected: 1,
      nextChunk: chunks.length + 1,
    };
    await store.registerSpace(this.space, "fleet");
    await store.putChunks(this.space, chunks);
    const pointers = chunks.map(({ pointer }) => pointer);
    await store.commitRoot(
      this.space,
      { epochIsNew: 1n },
      { startEpoch: 1n, roster: { version: 1, meta, pointers }, heard: now },
    );
  }

  /** Whether a barrier of this shape touches a dispatcher. */
  touches(member: Member): boolean {
    return this.shape.influence !== "Normal" || member !== this.trigger;
  }

  /** The messages in which members of one node report one state. */
  reports(members: readonly Member[], state: MessageInitShape<typeof StateSchema>): string[] {
    const step = this.shape.reports === "folded" ? PER_MESSAGE : 1;
    const bodies: string[] = [];
    for (let from = 0; from < members.length; from += step) {
      const part = members.slice(from, from + step);
      const who =
        this.shape.reports === "folded"
          ? { dispatcherIDs: part.map((one) => one.id), lives: part.map(() => LIFE) }
          : { ID: part[0]!.id, life: LIFE };
      const request = { changefeedID: this.changefeed, blockStatuses: [{ state, ...who }] };
      bodies.push(encode("BlockStatusRequest", "json", create(schemas.BlockStatusRequest, request)));
    }
    return bodies;
  }

  /** What a dispatcher reports that waits at an event. */
  waiting(key: EventKey): MessageInitShape<typeof StateSchema> {
    const BlockTables = {
      All: { InfluenceType: InfluenceType.All },
      DB: { InfluenceType: InfluenceType.DB, SchemaID: 1n },
      Normal: { InfluenceType: InfluenceType.Normal, TableIDs: [SPLIT_TABLE] },
    }[this.shape.influence];
    return { ...about(key), IsBlocked: true, stage: BlockStage.WAITING, BlockTables };
  }

  done(key: EventKey, did: "write" | "pass"): MessageInitShape<typeof StateSchema> {
    const doneAction = did === "write" ? DoneAction.WRITE_DONE : DoneAction.PASS_DONE;
    return { ...about(key), IsBlocked: true, stage: BlockStage.DONE, doneAction };
  }
}

/** Attributes of a message from one node. */
export function attributesOf(node: FleetNode, type: string): Record<string, string> {
  return { type, from: node.name, start: START.toString() };
}

const TRIGGER_SPAN = { tableId: 0n, start: new Uint8Array(), end: new Uint8Array() };

const about = (key: EventKey) => ({ BlockTs: key.commitTs, IsSyncPoint: key.isSyncPoint });

/** A row's key inside of the table that is split. */
function splitKey(index: number): Uint8Array {
  const key = Buffer.from("7480000000000000ff645f728000000000ff0000000000000000f7", "hex");
  key.writeUInt32BE(index, 18);
  return new Uint8Array(key);
}

/** A request id as Lambda gives them: what names of chunk versions begin with. */
export function requestId(number: number): string {
  return `5f0c2a64-9d1e-4b7a-8c3f-${number.toString(16).padStart(12, "0")}`;
}
