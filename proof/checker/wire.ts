import { dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import type { ActionMessage } from "../../src/maintainer/base/port.ts";
import { SLICE_TYPE, type Slice, sliceText } from "../../src/maintainer/base/slice.ts";
import type { StatusMessage } from "../../src/maintainer/intake/input.ts";
import { d, PREFIX, type TestNode, World } from "../../src/maintainer/testing/world.ts";
import { decode } from "../../src/protocol/codec.ts";
import { type EventKey, keyText } from "../../src/protocol/event-key.ts";
import { Action, InfluenceType, OperatorType, ScheduleAction } from "../../src/protocol/messages.ts";
import { Interner } from "./intern.ts";

/** What an action queue carries, for one dispatcher each. */
export type Instruction =
  | {
      readonly kind: "ack" | "ignored" | "write" | "pass";
      readonly key: EventKey;
      readonly id: string;
      readonly life: bigint;
      readonly epoch: bigint;
      readonly mode: bigint;
    }
  | {
      readonly kind: "create";
      readonly node: string;
      readonly id: string;
      readonly table: bigint;
      readonly schema: bigint;
      readonly start: string;
      readonly end: string;
      readonly startTs: bigint;
      /** The life that the request names; 0: none (decision 28). */
      readonly given: bigint;
      /** It is one that was lost, not a new one (protocol.md R9b). */
      readonly lost: boolean;
      readonly epoch: bigint;
    }
  | { readonly kind: "remove"; readonly node: string; readonly id: string; readonly epoch: bigint }
  /** A Pass to an old node, for whoever of its dispatchers the event touches (protocol.md M12). */
  | {
      readonly kind: "wide";
      readonly key: EventKey;
      readonly node: string;
      /** undefined: All. */
      readonly schema: bigint | undefined;
      readonly epoch: bigint;
      readonly mode: bigint;
    }
  /** No message: the node gets to know that the changefeed is opened again, by whatever way (protocol.md R1). */
  | { readonly kind: "follow"; readonly node: string; readonly epoch: bigint };

/** An instruction to one life of a dispatcher. */
export type AnswerTo = Extract<Instruction, { readonly life: bigint }>;

export function isAnswer(one: Instruction): one is AnswerTo {
  return "life" in one;
}

const WORDS = { [Action.Write]: "write", [Action.Pass]: "pass" } as const;

/** A key as people read it: `100`, or `100 (syncpoint)`. */
export function keyWords(key: EventKey | string): string {
  const text = typeof key === "string" ? key : keyText(key);
  return `${BigInt(text.slice(0, 20))}${text.endsWith("-1") ? " (syncpoint)" : ""}`;
}

/** Messages of a small world, each content with a number, and words for them. */
export class Wire {
  readonly messages = new Interner<StatusMessage>(
    (one) => `${one.sentAt} ${JSON.stringify(one.attributes)} ${one.body}`,
  );
  readonly instructions = new Interner<Instruction>();
  readonly #words = new Map<number, string>();
  readonly #names = new Map<string, string>();
  readonly #numbers = new Map<string, string>();
  readonly #parsed = new Map<string, readonly number[]>();
  readonly #again = new Map<number, StatusMessage>();
  /** Builds bodies. */
  readonly world = new World();
  /** When all messages were sent: the life of a dispatcher of an old node (protocol.md R6). */
  readonly oldLife = BigInt(this.world.now);
  readonly #old: ReadonlySet<string>;

  /** @param old nodes that send neither `start` nor lives */
  constructor(old: readonly string[] = []) {
    this.#old = new Set(old);
  }

  isOld(node: string): boolean {
    return this.#old.has(node);
  }

  /** The dispatcher id of a name. */
  idOf(name: string): string {
    let id = this.#numbers.get(name);
    if (id === undefined) {
      id = d(this.#numbers.size + 1);
      this.#numbers.set(name, id);
      this.#names.set(id, name);
    }
    return id;
  }

  call(id: string, name: string): void {
    if (!this.#names.has(id)) this.#names.set(id, name);
  }

  nameOf(id: string): string {
    return this.#names.get(id) ?? `…${id.slice(-4)}`;
  }

  node(id: string, start: number): TestNode {
    return { id, queue: `${PREFIX}${id}`, ...(!this.isOld(id) && { start }) };
  }

  /** The queue of a dispatcher that has one of its own. */
  queueOf(id: string): string {
    return `${PREFIX}${id}`;
  }

  /** A slice that an invocation hands over to others (decision 15). */
  slice(slice: Slice): number {
    const what = slice.kind === "ack" ? "ACKs" : "Passes";
    const words = `a slice of ${what} ${keyWords(slice.key)} for chunk ${slice.chunk}${slice.first ? "" : ", not the first"}`;
    const message: StatusMessage = {
      messageId: "",
      body: sliceText(slice),
      attributes: { type: SLICE_TYPE },
      sentAt: this.world.now,
      receiveCount: 1,
      principal: "",
    };
    return this.message(message, words);
  }

  /** The number of a message's content. `words` say what it is. */
  message(made: StatusMessage, words: string): number {
    const id = this.messages.id(made);
    if (!this.#words.has(id)) this.#words.set(id, words);
    return id;
  }

  words(id: number): string {
    return this.#words.get(id)!;
  }

  /** As the maintainer gets it. Twice delivered, it says so. */
  delivered(id: number, again: boolean): StatusMessage {
    const at = id * 2 + Number(again);
    let message = this.#again.get(at);
    if (message === undefined) {
      message = { ...this.messages.value(id), messageId: `m${id}`, receiveCount: again ? 2 : 1 };
      this.#again.set(at, message);
    }
    return message;
  }

  /** What a message to an action queue says, one instruction for each dispatcher. */
  parse(message: ActionMessage): readonly number[] {
    const name = `${message.type} ${message.queue} ${message.body}`;
    let parsed = this.#parsed.get(name);
    if (parsed === undefined) {
      parsed = this.#parse(message).map((one) => this.instructions.id(one));
      this.#parsed.set(name, parsed);
    }
    return parsed;
  }

  #parse(message: ActionMessage): Instruction[] {
    // Registrations are repeated by nodes until they are answered; here they are durable from the start.
    if (message.type === "RegistrationResult") return [];
    if (message.type === "ScheduleDispatcherRequest") {
      return [this.#parseRequest(message)];
    }
    const node = message.queue.replace(PREFIX, "");
    const response = decode("HeartBeatResponse", message.encoding, message.body);
    return response.dispatcherStatuses.flatMap((status): Instruction[] => {
      const { ack, ignoredBlockStatus, action, lives, influencedDispatchers: influenced } = status;
      const about = ack ?? ignoredBlockStatus ?? action!;
      const kind = ack ? "ack" : ignoredBlockStatus ? "ignored" : WORDS[action!.action]!;
      const common = {
        key: { commitTs: about.CommitTs, isSyncPoint: about.IsSyncPoint },
        epoch: response.maintainerEpoch,
        mode: response.mode,
      };
      const { InfluenceType: type, DispatcherIDs: ids, SchemaID: schemaId } = influenced!;
      if (!this.isOld(node) && (type !== InfluenceType.Normal || lives.length === 0))
        throw new Error("a new node was answered like an old one");
      if (this.isOld(node) && lives.length > 0) throw new Error("an old node was told lives");
      if (type !== InfluenceType.Normal)
        return [{ kind: "wide", node, schema: type === InfluenceType.DB ? schemaId : undefined, ...common }];
      return ids.map((id, index) => ({
        kind,
        id: dispatcherKey(id),
        life: lives[index] ?? this.oldLife,
        ...common,
      }));
    });
  }

  #parseRequest(message: ActionMessage): Instruction {
    const request = decode("ScheduleDispatcherRequest", message.encoding, message.body);
    const { config, scheduleAction, operatorType, maintainerEpoch: epoch } = request;
    const node = message.queue.replace(PREFIX, "");
    const id = dispatcherKey(config!.dispatcherID!);
    if (scheduleAction === ScheduleAction.Remove) return { kind: "remove", node, id, epoch };
    const { TableID: table, StartKey, EndKey } = config!.span!;
    const lost = operatorType === OperatorType.O_Move;
    this.call(id, `N${table}`);
    const text = new TextDecoder();
    return {
      kind: "create",
      node,
      id,
      table,
      schema: config!.schemaID,
      start: text.decode(StartKey),
      end: text.decode(EndKey),
      startTs: config!.startTs,
      given: config!.life,
      lost,
      epoch,
    };
  }

  instructionWords(one: Instruction): string {
    switch (one.kind) {
      case "create": {
        const again = one.lost ? " again" : "";
        return `node ${one.node}: create ${this.nameOf(one.id)}${again} for table ${one.table}, from ${one.startTs}`;
      }
      case "remove":
        return `node ${one.node}: remove ${this.nameOf(one.id)}`;
      case "wide":
        return `Pass ${keyWords(one.key)} to whom it touches on ${one.node}`;
      case "follow":
        return `node ${one.node}: follow into epoch ${one.epoch}`;
      default: {
        const what = { ack: "ACK", ignored: "Ignored", write: "Write", pass: "Pass" }[one.kind];
        const epoch = one.epoch > 1n ? ` (epoch ${one.epoch})` : "";
        return `${what} ${keyWords(one.key)} to ${this.nameOf(one.id)}@${one.life}${epoch}`;
      }
    }
  }
}
