import type { BarrierItem, Count, Port, Root } from "../../src/maintainer/base/port.ts";
import { run } from "../../src/maintainer/base/program.ts";
import { newMemory } from "../../src/maintainer/batch.ts";
import type { Settings } from "../../src/maintainer/session/session.ts";
import { sweep } from "../../src/maintainer/sweep.ts";
import type { Encoding } from "../../src/protocol/codec.ts";
import { BlockStage, DoneAction, type State } from "../../src/protocol/messages.ts";
import type { Where } from "../../src/storage/ledger.ts";
import type { MemoryStore } from "../../src/storage/memory.ts";
import type { Incarnation } from "./carrier.ts";
import { REDRIVER } from "./dead-queue.ts";
import { OFTEN, type Outcome } from "./functions.ts";
import type { Monitors } from "./monitors.ts";
import { isBehind, storedName } from "./order.ts";
import type { Stored } from "./queues.ts";
import { idOf, keyOf, livesOf, readMessage } from "./reading.ts";
import { markedVersions, type StoredLife, type StoredRoster } from "./stored.ts";
import type { Judge } from "./violation.ts";

interface Effect {
  readonly incarnation: Incarnation;
  readonly epoch: bigint;
  readonly key: string;
}

/**
 * I7: when a message is gone, what it must cause is in the store, or, at a dispatcher, done and told. Looks at the store
 * itself: what it would take to know the report from there.
 */
export class Durability {
  readonly #store: MemoryStore;
  readonly #space: string;
  readonly #monitors: Monitors;
  readonly #judge: Judge;

  /** Keys that had no room in the root once: what was recorded of them by then is judged with the reports' repeats. */
  readonly #full = new Set<string>();

  #keptLost = false;

  /** What the messages that nodes have in hand do, by their receipts. */
  readonly #effects = new Map<string, Effect[]>();

  constructor(store: MemoryStore, space: string, monitors: Monitors, judge: Judge) {
    this.#store = store;
    this.#space = space;
    this.#monitors = monitors;
    this.#judge = judge;
  }

  /**
   * All messages that somebody received are dealt with: nothing is left to do of what they said. A sweep on a copy of the
   * store must find nothing to go on with (invariants.md S5). An old node's DONE is a message of its own: the report of its next
   * event, which says the same, may come before it.
   * @param now milliseconds since 1970
   */
  async quiet(settings: Settings, now: number): Promise<void> {
    if (this.#monitors.awaitsOldWriter()) return;
    const copy = this.#store.clone();
    const commit = copy.commitRoot.bind(copy);
    copy.commitRoot = async (space, conditions, changes) => {
      const { step } = changes;
      const before = step && copy.roots.get(space.text)?.steps.get(step.key);
      if (step && step.step.phase !== before?.phase && !this.#full.has(step.key))
        this.#judge.fail(
          "I7",
          `${step.key} is ${before?.phase}, all messages are gone, and a sweep makes it ${step.step.phase}`,
        );
      return commit(space, conditions, changes);
    };
    const port = Object.assign(copy, {
      send: async (messages: readonly unknown[]) => messages.map(() => "sent" as const),
      handOver: async () => undefined,
      deadLetter: async () => undefined,
      pause: async () => undefined,
    });
    await run(sweep({ now, nonce: "quiet", settings, memory: newMemory() }), port as Port);
  }

  /**
   * The event source has deleted a status message.
   * @param knownSince virtual time of the oldest root that its invocation may stand on
   */
  handled(message: Stored, { untold, again, forGood, full, aside }: Outcome, knownSince: number): void {
    const { id, body, attributes, sentAt, receives } = message;
    for (const key of full) this.#full.add(key);
    const { root } = this.#monitors;
    // A word of leaving that a redriver brings back without its sender is a dead letter once more.
    const refused = message.principal === REDRIVER && aside.has(body);
    if (attributes["type"] === "HeartBeatRequest" && !refused) this.#hearsOfLeaving(body, attributes);
    // What was to be told in a former epoch is nothing to anybody in this one.
    if (untold.size > 0 && knownSince >= this.#monitors.epochSince) {
      if (forGood && untold.isOwed(message, (key) => this.#monitors.isOver(key)))
        this.#judge.fail("I7", `${id} and its batch are gone, and not all that they had to tell is sent`);
      if (receives < OFTEN && untold.isOnlyOf(message, again))
        this.#judge.fail("I7", `${id} is gone and its invocation could not send all that it had to tell`);
    }
    // What is said of a changefeed that was removed is nowhere.
    if (root === undefined || root.meta.removed) return;
    // It is a dead letter once more, and nothing of it is in the store: it is brought back in its first sender's name.
    if (refused) return;
    const roster = this.#monitors.rosterOf(root);
    if (this.#monitors.isOfWhoLeft(attributes, roster)) return;
    if (attributes["type"] === "MaintainerBootstrapResponse") this.#monitors.took(body, attributes);
    if (BigInt(attributes["start"] ?? 0) < (roster.starts.get(attributes["from"] ?? "") ?? 0n)) return;
    const encoding = attributes["encoding"] as Encoding;
    const missing =
      attributes["type"] === "BlockStatusRequest"
        ? // Of what was handled in the former epoch nothing is in this one: who reported says it again as it registers.
          knownSince < this.#monitors.epochSince
          ? undefined
          : this.#reports(root, roster, encoding, body, sentAt < this.#monitors.epochSince, full)
        : attributes["type"] === "MaintainerBootstrapResponse"
          ? this.#registrations(root, roster, encoding, body)
          : undefined;
    if (missing !== undefined) this.#judge.fail("I7", `${id} is gone and ${missing}`);
  }

  #hearsOfLeaving(body: string, attributes: Readonly<Record<string, string>>): void {
    const encoding = attributes["encoding"] as Encoding;
    if (readMessage("HeartBeatRequest", encoding, body).leaving)
      this.#monitors.left({ node: attributes["from"]!, start: BigInt(attributes["start"] ?? 0) });
  }

  /** An item is gone before its time: what it said is nowhere. */
  lost({ part, path }: Where): void {
    if (part === "kept") this.#keptLost = true;
    if (part === "tallies" || part === "barriers") this.#full.add(path.split(" ")[2]!);
  }

  #registrations(root: Root, roster: StoredRoster, encoding: Encoding, body: string): string | undefined {
    const { spans, maintainerEpoch } = readMessage("MaintainerBootstrapResponse", encoding, body);
    if (maintainerEpoch < root.epoch) return undefined;
    if (maintainerEpoch > root.epoch && spans.length > 0) return `epoch ${maintainerEpoch} has not begun`;
    for (const span of spans) {
      const key = idOf(span.ID!);
      const known = roster.lives.get(key)?.life ?? roster.ended.get(key) ?? 0n;
      if (known < span.life && !roster.dropped.has(span.span?.TableID ?? 0n))
        return `life ${span.life} of ${key} is not registered`;
    }
    return undefined;
  }

  /** @param former whether it was sent in a former epoch */
  #reports(
    root: Root,
    roster: StoredRoster,
    encoding: Encoding,
    body: string,
    former: boolean,
    full: ReadonlySet<string>,
  ): string | undefined {
    for (const status of readMessage("BlockStatusRequest", encoding, body).blockStatuses) {
      // What was passed then need not be told now: it is said again when this epoch asks for it.
      if (former && status.state?.doneAction === DoneAction.PASS_DONE) continue;
      // A root that nears its bound opens no more (docs/bounds.md).
      if (status.state?.stage !== BlockStage.DONE && full.has(storedName(keyOf(status.state!)))) continue;
      for (const { id, life } of livesOf(status)) {
        const missing = this.#report(root, roster, id, life, status.state!);
        if (missing !== undefined) return missing;
      }
    }
    return undefined;
  }

  #report(root: Root, roster: StoredRoster, id: string, life: bigint, state: State): string | undefined {
    const place = roster.lives.get(id);
    if (place === undefined || place.life < life) {
      if ((roster.ended.get(id) ?? 0n) >= life) return undefined;
      return this.#isKept(id) ? undefined : `the report of ${id}, which nobody knows yet, is not kept`;
    }
    if (place.life > life) return undefined;
    const key = storedName(keyOf(state));
    const about = `of ${id} for ${key}`;
    const item = this.#store.barriers.get(`${this.#space} ${root.epoch} ${key}`);
    const phase = item?.tombstone ? "closed" : root.steps.get(key)?.phase;
    if (isBehind(place.since, keyOf(state))) return undefined;
    if (state.stage === BlockStage.DONE) {
      const grants = root.steps.get(key)?.grants ?? [];
      const granted = grants.some((grant) => grant.id === id && grant.life === life);
      if (state.doneAction === DoneAction.WRITE_DONE)
        return granted && (phase === "waiting" || phase === "writing")
          ? `the DONE of Write ${about} is nowhere`
          : undefined;
      const recorded = phase !== "passing" || granted || this.#recorded(item, key, "passed", place);
      return recorded ? undefined : `the DONE of Pass ${about} is nowhere`;
    }
    if (phase === undefined && key <= root.floor) {
      // Nothing is opened there, so nothing tells it again once it is acknowledged (protocol.md M19).
      if (this.#isKept(id)) return undefined;
      const unanswered = (["ack", "pass"] as const).filter(
        (what) => (what === "ack" || state.IsBlocked) && !this.#monitors.wasTold(what, key, place),
      );
      return unanswered.length > 0
        ? `the report ${about}, below the floor, has no ${unanswered.join(" and no ")}`
        : undefined;
    }
    if (
      phase === undefined &&
      (state.IsBlocked || state.NeedAddedTables.length > 0 || state.NeedDroppedTables)
    )
      return `the report ${about} has opened nothing`;
    if (this.#full.has(key)) return undefined;
    const needed = phase === "waiting" || phase === "writing" || phase === "written";
    // Who is being registered just now is looked for in what is kept afterwards.
    const known = () => this.#recorded(item, key, "waiting", place) || this.#isKept(id);
    return needed && state.IsBlocked && !known() ? `the WAITING ${about} is nowhere` : undefined;
  }

  #isKept(id: string): boolean {
    if (this.#keptLost) return true;
    return [...this.#store.kept.values()].some(
      ({ type, body }) =>
        type === "BlockStatusRequest" &&
        readMessage(type, "protobuf", body).blockStatuses.some((status) =>
          status.dispatcherIDs.some((other) => idOf(other) === id),
        ),
    );
  }

  #recorded(item: BarrierItem | undefined, key: string, count: Count, life: StoredLife): boolean {
    if (item === undefined) return false;
    const { chunk } = life;
    const versions = markedVersions(count === "waiting" ? item.waiting : item.passed, chunk);
    if (versions.some((version) => life.addedAt <= version)) return true;
    const path = `${this.#space} ${this.#monitors.root!.epoch} ${key} ${count} ${chunk.id}`;
    return this.#store.tallies.get(path)?.reported.has(life.slot) ?? false;
  }

  /** A node is given a message: notes whom of its dispatchers it finds at its event, or behind it. */
  delivered({ receipt, attributes, body }: Stored, running: (id: string) => Incarnation | undefined): void {
    if (attributes["type"] !== "HeartBeatResponse") return;
    const effects: Effect[] = [];
    const encoding = attributes["encoding"] as Encoding;
    const response = readMessage("HeartBeatResponse", encoding, body);
    const epoch = response.maintainerEpoch;
    for (const status of response.dispatcherStatuses) {
      if (status.action === undefined) continue;
      const { CommitTs, IsSyncPoint } = status.action;
      const key = storedName({ commitTs: CommitTs, isSyncPoint: IsSyncPoint });
      for (const [index, id] of status.influencedDispatchers!.DispatcherIDs.entries()) {
        const incarnation = running(idOf(id));
        if (incarnation === undefined || incarnation.life !== status.lives[index]) continue;
        const stands = incarnation.dispatcher?.blockedAt;
        const isAtIt = stands?.stage === "waiting" && storedName(stands.event.key) === key;
        // For who has not come to it yet it has no effect: its WAITING brings it again (protocol.md D6).
        if (isAtIt || incarnation.executing === key || incarnation.executed.has(key))
          effects.push({ incarnation, key, epoch });
      }
    }
    if (effects.length > 0) this.#effects.set(receipt, effects);
  }

  /** A node has deleted a message of its queue: what it did for it is done, and told. */
  obeyed({ receipt }: Stored): void {
    for (const { incarnation, key, epoch } of this.#effects.get(receipt) ?? []) {
      const { lives, executing, executed, name, node } = incarnation;
      // Its node has come to a higher epoch: dropped (protocol.md D11).
      if (epoch < this.#monitors.followedOn(node)) continue;
      if (!lives || (executed.has(key) && this.#monitors.hasTold(incarnation, key))) continue;
      const state = executing === key ? "is still at it" : executed.has(key) ? "has not told its DONE" : "";
      if (state) this.#judge.fail("I7", `an action for ${key} is gone and ${name} ${state}`);
    }
    this.#effects.delete(receipt);
  }
}
