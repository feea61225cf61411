import type { ActionMessage } from "../../src/maintainer/base/port.ts";
import type { Slice } from "../../src/maintainer/base/slice.ts";
import type { Encoding } from "../../src/protocol/codec.ts";
import { BlockStage } from "../../src/protocol/messages.ts";
import { ACTION_PREFIX } from "./fixed.ts";
import { storedName } from "./order.ts";
import type { Stored } from "./queues.ts";
import { idOf, keyOf, livesOf, readMessage } from "./reading.ts";

/** One thing that somebody is told: a life about an event, or a queue. */
interface Piece {
  readonly queue: string;
  readonly type: ActionMessage["type"];
  /** Of an answer to a life: whose, and about which event. */
  readonly about?: { readonly id: string; readonly life: bigint; readonly key: string };
  /** Of an answer to a registration: those that it is about, as `id@life`; none if it is refused as a whole. */
  readonly registered?: readonly string[];
}

/** What an invocation had to tell and could not send. What it sends later in its time is told. */
export class Untold {
  readonly #pieces = new Map<string, Piece>();
  /** Slices of a wave that are not in the status queue: nobody else will tell what they are about. */
  readonly #slices = new Map<string, Slice>();
  /** What lives were told about an event since a slice was not handed over, as `ack id@life key`. */
  readonly #told = new Set<string>();

  get size(): number {
    return this.#pieces.size + this.#slices.size;
  }

  /**
   * Whether something of it is still owed.
   * An ACK that a slice was to tell is owed to those who ask for it in a message, if they were not told by themselves.
   * @param isOver whether everybody whom an event touches is done with it: then nobody waits for what was to be told of it
   */
  isOwed(message: Stored, isOver: (key: string) => boolean): boolean {
    const asked = asksOf(message).filter((one) => !one.done);
    const misses = ({ key, kind }: Slice) =>
      kind === "pass" ||
      asked.some((one) => one.key === key && !this.#told.has(`ack ${one.id}@${one.life} ${key}`));
    return (
      [...this.#pieces.values()].some(({ about }) => about === undefined || !isOver(about.key)) ||
      [...this.#slices.values()].some((slice) => !isOver(slice.key) && misses(slice))
    );
  }

  /** It was not sent, or has no answer. */
  failed(message: ActionMessage): void {
    for (const [name, piece] of piecesOf(message)) this.#pieces.set(name, piece);
  }

  sent(message: ActionMessage): void {
    if (this.size === 0) return;
    for (const [name, { queue }] of piecesOf(message)) {
      this.#pieces.delete(name);
      this.#told.add(name.slice(queue.length + 1));
    }
  }

  /** What was to be handed over to other invocations is not in their queue. */
  notHandedOver(slices: readonly Slice[]): void {
    for (const slice of slices) this.#slices.set(nameOf(slice), slice);
  }

  handedOver(slice: Slice): void {
    this.#slices.delete(nameOf(slice));
  }

  /**
   * Whether a message asks for something of it, and none that comes again does. Who says DONE asks for nothing: what its life was
   * told is done.
   * @param again the invocation's messages that come again
   */
  isOnlyOf(message: Stored, again: readonly Stored[]): boolean {
    const { attributes } = message;
    const pieces = [...this.#pieces.values()];
    const spans = spansOf(message);
    const registeredAgain = new Set(again.flatMap(spansOf));
    const isAnswer = ({ queue, registered }: Piece) => {
      if (registered === undefined || queue !== attributes["replyQueue"]) return false;
      // An answer that names nobody may be to each of those that would be answered there: an opening, or who has started.
      if (registered.length === 0) return !again.some((one) => one.attributes["replyQueue"] === queue);
      const own = registered.filter((one) => spans.includes(one));
      return own.some((one) => !registeredAgain.has(one));
    };
    if (pieces.some(isAnswer)) return true;
    // Old nodes name no life: what another node is to be told of a dispatcher that has moved there is not what this one asks for.
    const own = ({ queue }: Piece, life: bigint) =>
      life > 0n || queue === `${ACTION_PREFIX}${attributes["from"]}`;
    const asked = asksOf(message).filter((one) =>
      pieces.some(
        (piece) =>
          piece.about?.id === one.id &&
          piece.about.key === one.key &&
          own(piece, one.life) &&
          !(one.done && piece.about.life === one.life),
      ),
    );
    if (asked.length === 0) return false;
    const others = again.flatMap(asksOf).filter((one) => !one.done);
    return asked.some(
      (one) =>
        !others.some((other) => other.id === one.id && other.life === one.life && other.key === one.key),
    );
  }
}

const nameOf = ({ key, kind, chunk, from }: Slice) => `${key} ${kind} ${chunk} ${from}`;

function asksOf(message: Stored): Asking[] {
  const { attributes, body } = message;
  if (attributes["type"] === "MaintainerBootstrapResponse") return asksOfRegistered(message);
  if (attributes["type"] !== "BlockStatusRequest") return [];
  const { blockStatuses } = readMessage("BlockStatusRequest", attributes["encoding"] as Encoding, body);
  return blockStatuses.flatMap((status) => {
    const { state } = status;
    if (state === undefined) return [];
    const key = storedName(keyOf(state));
    return livesOf(status).map((one) => ({ ...one, key, done: state.stage === BlockStage.DONE }));
  });
}

/** A life that says where it stands. */
interface Asking {
  readonly id: string;
  readonly life: bigint;
  readonly key: string;
  readonly done: boolean;
}

/** Who registers as waiting asks as by a report (protocol.md M14). */
function asksOfRegistered({ attributes, body }: Stored): Asking[] {
  const { spans } = readMessage("MaintainerBootstrapResponse", attributes["encoding"] as Encoding, body);
  return spans.flatMap(({ ID, life, blockState }) =>
    blockState?.stage === BlockStage.WAITING
      ? [{ id: idOf(ID!), life, key: storedName(keyOf(blockState)), done: false }]
      : [],
  );
}

/** The lives that a message registers, as `id@life`. */
function spansOf({ attributes, body }: Stored): string[] {
  const type = "MaintainerBootstrapResponse";
  if (attributes["type"] !== type) return [];
  const { spans } = readMessage(type, attributes["encoding"] as Encoding, body);
  return spans.map(({ ID, life }) => `${idOf(ID!)}@${life}`);
}

/** Lives that an answer to a registration is about. */
function answeredIn(body: string): string[] {
  type One = { readonly id: { readonly high: string; readonly low: string }; readonly life: string };
  const { accepted, refused } = JSON.parse(body) as { accepted: One[]; refused: One[] };
  return [...accepted, ...refused].map(
    ({ id, life }) => `${idOf({ high: BigInt(id.high), low: BigInt(id.low) })}@${life}`,
  );
}

function* piecesOf({ queue, type, encoding, body }: ActionMessage): Iterable<[string, Piece]> {
  if (type !== "HeartBeatResponse") {
    const registered = type === "RegistrationResult" ? { registered: answeredIn(body) } : {};
    yield [`${queue} ${body}`, { queue, type, ...registered }];
    return;
  }
  for (const status of readMessage(type, encoding, body).dispatcherStatuses) {
    const { influencedDispatchers, action, ack, ignoredBlockStatus, lives } = status;
    const named = action ?? ack ?? ignoredBlockStatus;
    if (named === undefined) continue;
    const what = action ? `action ${action.action}` : ack ? "ack" : "ignored";
    const key = storedName({ commitTs: named.CommitTs, isSyncPoint: named.IsSyncPoint });
    for (const [index, one] of (influencedDispatchers?.DispatcherIDs ?? []).entries()) {
      const about = { id: idOf(one), life: lives[index] ?? 0n, key };
      yield [`${queue} ${what} ${about.id}@${about.life} ${key}`, { queue, type, about }];
    }
  }
}
