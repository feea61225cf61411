import { create } from "@bufbuild/protobuf";
import { type DispatcherKey, dispatcherId } from "../../barrier/dispatcher-id.ts";
import { type Influence, touches } from "../../barrier/event.ts";
import type { Outcome } from "../../barrier/membership.ts";
import type { Life, Roster } from "../../barrier/roster.ts";
import { WeirError } from "../../error/weir-error.ts";
import { type Encoding, encode } from "../../protocol/codec.ts";
import { parseKeyText } from "../../protocol/event-key.ts";
import { encodeAnswers, type FoldedAnswer } from "../../protocol/folded-answers.ts";
import {
  Action,
  DispatcherIDSchema,
  type DispatcherStatus,
  DispatcherStatusSchema,
  type HeartBeatResponse,
  HeartBeatResponseSchema,
  InfluenceType,
  OperatorType,
  ScheduleAction,
  type ScheduleDispatcherRequest,
  ScheduleDispatcherRequestSchema,
} from "../../protocol/messages.ts";
import type { ActionMessage } from "../base/port.ts";
import { SLICE_LIVES, type Slice } from "../base/slice.ts";
import { changefeedMessage, type Space } from "../base/space.ts";

/** Whom an answer is for: a life, and where it is told. */
export type Target = Pick<Life, "id" | "life" | "node" | "queue">;

type Kind = "ignored" | "ack" | "write" | "pass";
/** One response carries its statuses in this order (protocol.md R9a). */
const ORDER: readonly Kind[] = ["ignored", "ack", "write", "pass"];

/** Bytes of one body: a message may have 256 KiB with its attributes (protocol.md R9a). */
export const MESSAGE_LIMIT = 255 * 1024;

/** Dispatchers in one `RegistrationResult`: a refusal takes some 200 bytes. */
const RESULTS_PER_MESSAGE = 1_000;

/** Dispatchers to create and to remove that are sent beside what a barrier waits for; more go behind it. */
const SCHEDULES_BESIDE = 100;

/** A dispatcher to create, with the id that it is given. */
export interface ToCreate {
  readonly id: DispatcherKey;
  /** The life that it is to be registered with (protocol.md R11); 0: whoever creates it numbers it (protocol.md R4). */
  readonly life: bigint;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  /** 0 or absent: none. */
  readonly keyspace?: number;
  readonly startTs: bigint;
  /** It starts just before a DDL and drops the rows of that commitTs, which are in the sink (ticdc.md TM59). */
  readonly skipDMLAsStartTs: boolean;
  /** It is the same dispatcher as before, elsewhere. */
  readonly move: boolean;
}

/** What a `RegistrationResult` says of the whole message that it answers (protocol.md R9a). */
export interface WholeAnswer {
  /** The `start` that it named: another process of the node has no answer by this (decisions/0045). */
  readonly start?: bigint;
  /** A higher one is known of its node: all of it is refused. */
  readonly knownStart?: bigint | undefined;
  readonly reason?: string | undefined;
}

interface Line {
  readonly kind: Kind;
  readonly key: string;
  /** What is said, without to whom. */
  readonly head: DispatcherStatus;
  /** Old nodes are told a DB or All Pass by influence, new ones by id (protocol.md M12). */
  readonly influence: Influence | undefined;
  /** It is part of the first wave of its kind. */
  readonly first: boolean;
  /** It was handed over already: it is sent here, whatever there is beside it. */
  readonly now: boolean;
  readonly targets: Map<DispatcherKey, Target>;
}

interface How {
  readonly influence?: Influence;
  readonly first?: boolean;
  readonly now?: boolean;
}

/**
 * What an invocation has to tell, gathered per queue and sent at its end. Something is put here only when the state
 * that justifies it is committed (protocol.md M7).
 */
export class Outbox {
  readonly #space: Space;
  readonly #queues = new Map<string, Map<string, Line>>();
  readonly #results: ActionMessage[] = [];
  /**
   * One for each dispatcher: a TRUNCATE of many tables makes thousands, and nobody who stands at a barrier is to wait behind them. So
   * they are not even written before they are taken.
   */
  readonly #schedules: (() => ActionMessage)[] = [];
  /** Heads of lines by their names: the same for all queues. */
  readonly #heads = new Map<string, DispatcherStatus>();
  #response: HeartBeatResponse | undefined;
  #roster: Roster | undefined;
  #rootEpoch = 0n;
  /** The epoch as nodes are told it. */
  #epoch = 0n;

  constructor(space: Space) {
    this.#space = space;
  }

  /** The roster and epoch under which the messages are written: who is a new node, which encoding, which epoch. */
  under(roster: Roster, epoch: bigint): void {
    this.#roster = roster;
    this.#rootEpoch = epoch;
    this.#epoch = roster.meta.answersEpochZero ? 0n : epoch;
  }

  ignored(key: string, targets: readonly Target[]): void {
    this.#add("ignored", key, targets);
  }

  ack(key: string, targets: readonly Target[]): void {
    this.#add("ack", key, targets);
  }

  /** ACKs that are not handed over: they were already, or their barrier is closed, of which a slice finds nothing. */
  ackNow(key: string, targets: readonly Target[]): void {
    this.#add("ack", key, targets, { now: true });
  }

  /** Passes that are not handed over, as `ackNow`. */
  passNow(key: string, targets: readonly Target[]): void {
    this.#add("pass", key, targets, { now: true });
  }

  write(key: string, target: Target): void {
    this.#add("write", key, [target]);
  }

  /** @param influence given with the first wave of a DB or All event: what old nodes are told instead of ids */
  pass(key: string, targets: readonly Target[], influence?: Influence): void {
    const wide = influence && influence.type !== "Normal" ? influence : undefined;
    const byId: Target[] = [];
    const byInfluence: Target[] = [];
    for (const target of targets) (wide && this.#isOld(target) ? byInfluence : byId).push(target);
    this.#add("pass", key, byId, { first: influence !== undefined });
    if (wide) this.#addWide(key, byInfluence, wide);
  }

  /** Tells a node's queue to create a table's dispatcher (protocol.md M10). */
  createDispatcher(queue: string, encoding: Encoding, one: ToCreate): void {
    const epoch = this.#epoch;
    const request = () =>
      create(ScheduleDispatcherRequestSchema, {
        changefeedID: changefeedMessage(this.#space),
        config: {
          span: {
            TableID: one.tableId,
            StartKey: one.start,
            EndKey: one.end,
            KeyspaceID: one.keyspace ?? 0,
          },
          startTs: one.startTs,
          skipDMLAsStartTs: one.skipDMLAsStartTs,
          dispatcherID: dispatcherId(one.id),
          schemaID: one.schemaId,
          mode: this.#space.mode,
          life: one.life,
        },
        scheduleAction: ScheduleAction.Create,
        operatorType: one.move ? OperatorType.O_Move : OperatorType.O_Add,
        maintainerEpoch: epoch,
      });
    this.#schedule(queue, encoding, request);
  }

  /** Tells a node's queue to remove a dispatcher whose table is gone (protocol.md M10). */
  removeDispatcher(
    queue: string,
    encoding: Encoding,
    life: Pick<Life, "id" | "tableId" | "schemaId" | "start" | "end">,
  ): void {
    const epoch = this.#epoch;
    const request = () =>
      create(ScheduleDispatcherRequestSchema, {
        changefeedID: changefeedMessage(this.#space),
        config: {
          span: { TableID: life.tableId, StartKey: life.start, EndKey: life.end },
          dispatcherID: dispatcherId(life.id),
          schemaID: life.schemaId,
          mode: this.#space.mode,
        },
        scheduleAction: ScheduleAction.Remove,
        operatorType: OperatorType.O_Remove,
        maintainerEpoch: epoch,
      });
    this.#schedule(queue, encoding, request);
  }

  #schedule(queue: string, encoding: Encoding, request: () => ScheduleDispatcherRequest): void {
    const type = "ScheduleDispatcherRequest";
    this.#schedules.push(() => ({
      queue,
      type,
      encoding,
      body: encode(type, encoding, request()),
      about: [],
    }));
  }

  /** Answers a registration, an opening or a refusal (protocol.md R9a). */
  registrationResult(
    queue: string,
    outcome: Pick<Outcome, "accepted" | "refused">,
    whole: WholeAnswer = {},
  ): void {
    const id = (key: DispatcherKey) => {
      const { high, low } = dispatcherId(key);
      return { high: high.toString(), low: low.toString() };
    };
    const accepted = outcome.accepted.map((one) => ({ id: id(one.id), life: one.life.toString() }));
    const refused = outcome.refused.map((one) => ({
      id: id(one.id),
      life: one.life.toString(),
      knownLife: one.knownLife.toString(),
      reason: one.reason,
    }));
    const maintainerEpoch = this.#epoch.toString();
    const { start, knownStart, reason } = whole;
    const more = {
      ...(start !== undefined && { start: `${start}` }),
      ...(knownStart !== undefined && { knownStart: `${knownStart}` }),
      ...(reason !== undefined && { reason }),
    };
    const most = Math.max(1, accepted.length, refused.length);
    for (let from = 0; from < most; from += RESULTS_PER_MESSAGE) {
      const part = <T>(all: readonly T[]) => all.slice(from, from + RESULTS_PER_MESSAGE);
      const body = JSON.stringify({
        accepted: part(accepted),
        refused: part(refused),
        maintainerEpoch,
        ...more,
      });
      this.#results.push({ queue, type: "RegistrationResult", encoding: "json", body, about: [] });
    }
  }

  get empty(): boolean {
    return this.#queues.size === 0 && this.#results.length === 0 && this.#schedules.length === 0;
  }

  /**
   * Takes out what other invocations can tell as well, if there is more than this one should: ACKs and Passes to queues of
   * single dispatchers of the present roster (protocol.md M22).
   * @param most messages that are left to this invocation whatever they are
   */
  handOver(most: number): Slice[] {
    if (this.#queues.size <= most) return [];
    const slices = new Map<string, Slice>();
    for (const [queue, lines] of this.#queues) {
      for (const [name, line] of lines) {
        const slice = this.#sliceOf(line);
        if (slice === undefined) continue;
        const { key, kind, chunk, from, first } = slice;
        slices.set(`${key} ${kind} ${chunk} ${from} ${first}`, slice);
        lines.delete(name);
      }
      if (lines.size === 0) this.#queues.delete(queue);
    }
    return [...slices.values()];
  }

  #sliceOf({ kind, key, influence, now, first, targets }: Line): Slice | undefined {
    if (now || influence || targets.size !== 1 || (kind !== "ack" && kind !== "pass")) return undefined;
    const [target] = [...targets.values()];
    const place = this.#roster?.find(target!.id);
    if (place === undefined || place.life.life !== target!.life) return undefined;
    // A slice may come twice, and its Pass with it: an old node takes the second one for the next event's (decisions/0047).
    if (kind === "pass" && !parseKeyText(key).isSyncPoint && this.#isOld(target!)) return undefined;
    const { slot } = place.life;
    return {
      space: this.#space,
      epoch: this.#rootEpoch,
      key,
      kind,
      chunk: place.chunk.id,
      from: slot - (slot % SLICE_LIVES),
      first,
    };
  }

  /**
   * The messages, none larger than the limit. Which dispatchers to create and to remove comes last, for no barrier waits for that;
   * where they are many, they are left for the next call. The outbox is empty when it returns none.
   */
  take(limit = MESSAGE_LIMIT): ActionMessage[] {
    const messages = this.#results.splice(0);
    for (const [queue, lines] of this.#writesFirst()) {
      const sorted = [...lines.values()].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
      const node = this.#nodeOf(sorted);
      const encoding = node?.encoding ?? "json";
      const answers = sorted.map((line) => answerOf(line, (node?.start ?? 0n) > 0n));
      const about = [...new Set(sorted.filter((line) => line.kind !== "ack").map((line) => line.key))];
      for (const body of this.#bodies(answers, encoding, limit))
        messages.push({ queue, type: "HeartBeatResponse", encoding, body, about });
    }
    this.#queues.clear();
    if (messages.length > 0 && this.#schedules.length > SCHEDULES_BESIDE) return messages;
    for (const schedule of this.#schedules.splice(0)) messages.push(schedule());
    return messages;
  }

  /** For a Write everybody waits; the rest can wait for it. */
  #writesFirst(): [string, Map<string, Line>][] {
    const queues = [...this.#queues];
    const writes = queues.filter(([, lines]) => lines.values().some((line) => line.kind === "write"));
    if (writes.length === 0) return queues;
    const first = new Set(writes);
    return [...writes, ...queues.filter((queue) => !first.has(queue))];
  }

  #nodeOf(lines: readonly Line[]) {
    for (const line of lines)
      for (const target of line.targets.values()) return this.#roster?.nodes.get(target.node);
    return undefined;
  }

  #isOld(target: Target): boolean {
    return this.#roster?.isOld(target.node) ?? true;
  }

  #add(kind: Kind, key: string, targets: readonly Target[], how: How = {}): void {
    const name = `${kind}/${key}/${how.influence ? "wide" : ""}${how.first ? "first" : ""}${how.now ? "now" : ""}`;
    let queue: string | undefined;
    let line: Line | undefined;
    for (const target of targets) {
      if (target.queue === "") continue;
      if (line === undefined || target.queue !== queue) {
        queue = target.queue;
        line = this.#line(queue, name, kind, key, how);
      }
      line.targets.set(target.id, target);
    }
  }

  #line(queue: string, name: string, kind: Kind, key: string, how: How): Line {
    let lines = this.#queues.get(queue);
    if (lines === undefined) {
      lines = new Map();
      this.#queues.set(queue, lines);
    }
    let line = lines.get(name);
    if (line === undefined) {
      const { influence, first = false, now = false } = how;
      const head = this.#heads.get(name) ?? headOf(kind, key, influence);
      this.#heads.set(name, head);
      line = { kind, key, head, influence, first, now, targets: new Map() };
      lines.set(name, line);
    }
    return line;
  }

  /**
   * A queue of a single dispatcher always names it (protocol.md M12), and so does one of which somebody is left out: nodes do not
   * read `excludeDispatcherId` any more (ticdc.md 1.3).
   */
  #addWide(key: string, targets: readonly Target[], influence: Influence): void {
    const reached = new Map<string, { all: number; told: number }>();
    const of = (queue: string) => {
      const one = reached.get(queue) ?? { all: 0, told: 0 };
      reached.set(queue, one);
      return one;
    };
    const event = { influence, key: parseKeyText(key) };
    for (const chunk of this.#roster?.dispatchers ?? [])
      for (const life of chunk.lives) if (touches(event, life)) of(life.queue).all++;
    for (const target of targets) of(target.queue).told++;
    for (const target of targets) {
      const { all, told } = of(target.queue);
      this.#add("pass", key, [target], all > 1 && told >= all ? { influence } : { first: true });
    }
  }

  *#bodies(answers: readonly FoldedAnswer[], encoding: Encoding, limit: number): Iterable<string> {
    const body = encodeAnswers(encoding, this.#envelope(), answers);
    if (Buffer.byteLength(body) <= limit) yield body;
    else if (answers.length > 1) {
      const half = answers.length >> 1;
      yield* this.#bodies(answers.slice(0, half), encoding, limit);
      yield* this.#bodies(answers.slice(half), encoding, limit);
    } else {
      for (const part of halves(answers[0]!)) yield* this.#bodies([part], encoding, limit);
    }
  }

  #envelope(): HeartBeatResponse {
    if (this.#response?.maintainerEpoch !== this.#epoch)
      this.#response = create(HeartBeatResponseSchema, {
        changefeedID: changefeedMessage(this.#space),
        mode: this.#space.mode,
        maintainerEpoch: this.#epoch,
      });
    return this.#response;
  }
}

function headOf(kind: Kind, key: string, wide: Influence | undefined): DispatcherStatus {
  const { commitTs, isSyncPoint } = parseKeyText(key);
  const about = { CommitTs: commitTs, IsSyncPoint: isSyncPoint };
  return create(DispatcherStatusSchema, {
    influencedDispatchers: wide
      ? {
          InfluenceType: wide.type === "DB" ? InfluenceType.DB : InfluenceType.All,
          ...(wide.type === "DB" && { SchemaID: wide.schemaId }),
          // Present and empty: old nodes read it (protocol.md 1.3).
          excludeDispatcherId: create(DispatcherIDSchema),
        }
      : { InfluenceType: InfluenceType.Normal },
    ...(kind === "ignored" && { ignoredBlockStatus: about }),
    ...(kind === "ack" && { ack: about }),
    ...(kind === "write" && { action: { action: Action.Write, ...about } }),
    ...(kind === "pass" && { action: { action: Action.Pass, ...about } }),
  });
}

/** To whom something is said: by influence to nobody in particular, otherwise to each, with its life if it is a new node's. */
function answerOf({ head, influence, targets }: Line, isNew: boolean): FoldedAnswer {
  if (influence) return { head, ids: [], lives: [] };
  const lives: bigint[] = [];
  if (isNew) for (const target of targets.values()) lives.push(target.life);
  return { head, ids: [...targets.keys()], lives };
}

/** An answer that is too long for a message, as two with half of the dispatchers each. */
function halves({ head, ids, lives }: FoldedAnswer): FoldedAnswer[] {
  const half = ids.length >> 1;
  if (half === 0)
    throw new WeirError("message-too-large", "a response for one dispatcher does not fit into a message");
  return [
    { head, ids: ids.slice(0, half), lives: lives.slice(0, half) },
    { head, ids: ids.slice(half), lives: lives.slice(half) },
  ];
}
