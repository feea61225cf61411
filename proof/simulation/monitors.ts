import type { Step } from "../../src/barrier/step.ts";
import type { ActionMessage, DeadLetter, Root } from "../../src/maintainer/base/port.ts";
import type { EventKey } from "../../src/protocol/event-key.ts";
import { Action, BlockStage, DoneAction } from "../../src/protocol/messages.ts";
import type { MemoryStore } from "../../src/storage/memory.ts";
import type { Incarnation } from "./carrier.ts";
import { type Downstream, describe } from "./downstream.ts";
import { isOldName, lifeOn } from "./old-names.ts";
import { isBefore, isBehind, storedName } from "./order.ts";
import type { Process } from "./process.ts";
import { idOf, keyOf, readMessage } from "./reading.ts";
import { RosterWatch } from "./roster-watch.ts";
import { type Said, Sayings } from "./said.ts";
import { covered, readStored, type StoredLife, type StoredRoster } from "./stored.ts";
import type { Judge } from "./violation.ts";
import type { LogEvent, Workload } from "./workload.ts";

/** A life that stands in the roster, by what the coordinator has written and by what the life itself has said. */
interface Standing {
  readonly life: StoredLife;
  /** Of each process that may have spoken so: one, as a rule. */
  readonly said: readonly Said[];
}

/**
 * Holds every change of the root and every message against what nodes have really said and done (invariants.md I1 to I9). It
 * knows the log, and nothing of how the maintainer came to what it did: no code of the coordinator runs here.
 */
export class Monitors {
  readonly #workload: Workload;
  readonly #store: MemoryStore;
  readonly #space: string;
  readonly #now: () => number;
  /** A dispatcher's existence in a process, by the life that it has. */
  incarnationOf: (process: Process, id: string, life: bigint) => Incarnation | undefined = () => undefined;
  readonly #downstream: Downstream;
  readonly #judge: Judge;
  readonly #events = new Map<string, LogEvent>();
  readonly #sayings = new Sayings((node) => this.followedOn(node));
  readonly #rosters: RosterWatch;
  /** The start that a node had when a roster named it last. */
  readonly #known = new Map<string, bigint>();
  readonly #left = new Map<string, bigint>();
  /** Nodes that hear of a queue's messages: of a dispatcher's own queue, those that it was on. */
  readonly #nodesOf = new Map<string, Set<string>>();
  /** The epoch that a node follows. */
  followedOn: (node: string) => bigint = () => 0n;
  /** Virtual time at which the present epoch began. */
  epochSince = Number.NEGATIVE_INFINITY;
  /** Behind which commitTs each epoch was opened: what is before that is in its tables already. */
  readonly #openedAt = new Map<bigint, bigint>();
  /** Of the present epoch. */
  readonly #applied = new Set<string>();
  readonly #closed = new Set<string>();
  /** What was granted and passed to each life, and in which epoch last. */
  readonly #granted = new Map<string, bigint>();
  readonly #passes = new Map<string, bigint>();
  /** What each life was acknowledged, and in which epoch last. */
  readonly #acks = new Map<string, bigint>();
  /** Barriers that were closed, by what kind of event they were of. */
  readonly closedByKind: Record<string, number> = {};
  #root: Root | undefined;
  #roster: StoredRoster | undefined;
  #rosterVersion = -1;
  /** The lives that each grant was given on, and when they ceased to be those of the roster. */
  readonly #grantedLives = new Map<string, string>();
  readonly #changedAt = new Map<string, number>();

  /**
   * @param space the only space of the store, as text
   * @param now virtual time, in ms
   */
  constructor(
    workload: Workload,
    store: MemoryStore,
    space: string,
    downstream: Downstream,
    judge: Judge,
    now: () => number,
  ) {
    this.#space = space;
    this.#now = now;
    this.#workload = workload;
    this.#store = store;
    this.#downstream = downstream;
    this.#judge = judge;
    this.#rosters = new RosterWatch(workload, this.#sayings, judge);
    for (const event of workload.events) this.#events.set(storedName(event.capture.key), event);
  }

  get root(): Root | undefined {
    return this.#root;
  }

  eventOf(key: EventKey): LogEvent {
    return this.#events.get(storedName(key))!;
  }

  /** The status queue has a message. */
  reported(process: Process, body: string, attributes: Readonly<Record<string, string>>): void {
    if (attributes["type"] === "MaintainerBootstrapResponse") {
      const queue = attributes["replyQueue"]!;
      this.#nodesOf.set(queue, (this.#nodesOf.get(queue) ?? new Set()).add(attributes["from"]!));
      this.#sayings.registers(process, body, attributes);
    }
    if (attributes["type"] === "HeartBeatRequest") this.#sayings.tells(process, body, attributes);
    if (attributes["type"] !== "BlockStatusRequest") return;
    this.#sayings.reports(process, body, attributes, (said, state) => {
      // NONE: it wrote the event by itself, also one at which those stood who were merged into it.
      if (state.stage !== BlockStage.DONE && state.stage !== BlockStage.NONE) return;
      const key = keyOf(state);
      const text = storedName(key);
      said.done.add(text);
      const incarnation = this.incarnationOf(process, said.id, said.life);
      if (incarnation && isBefore(incarnation.at, key))
        this.#judge.fail("D5", `${incarnation.name} says that it has done ${text} and has not`);
      const kindless = state.doneAction === DoneAction.UNSPECIFIED && !isOldName(said.node);
      if (state.stage === BlockStage.DONE && kindless)
        this.#judge.fail("I3", "a DONE says nothing of its action");
    });
  }

  /** A registration is gone for good. */
  took(body: string, attributes: Readonly<Record<string, string>>): void {
    this.#rosters.took(body, attributes);
  }

  /** A node has gone for good, and the coordinator has dealt with its word. */
  left({ node, start }: { readonly node: string; readonly start: bigint }): void {
    this.#left.set(node, start);
    this.#rosters.left(node, start);
  }

  /**
   * Whether nothing of a message counts, for its node had said goodbye when it was dealt with; or for nobody knows its node, and another
   * that left had as high a start: it is told so, and goes above (protocol.md R12).
   */
  isOfWhoLeft(attributes: Readonly<Record<string, string>>, { starts }: StoredRoster): boolean {
    const node = attributes["from"] ?? "";
    const start = BigInt(attributes["start"] ?? 0);
    if (start <= (this.#left.get(node) ?? -1n)) return true;
    // One without dispatchers whose queue is gone is forgotten too, with its start.
    if (!starts.has(node) && start <= (this.#known.get(node) ?? -1n)) return true;
    // It may be told so before the message of the one that left is deleted.
    return !starts.has(node) && start <= this.#sayings.highestLeaving;
  }

  hasLeft(process: Process): boolean {
    return this.#sayings.hasLeft(process);
  }

  /** The root after a write of it. */
  committed(root: Root): void {
    if (root === this.#root) return;
    if (root.epoch !== this.#root?.epoch) this.#starts(root, this.#root?.epoch ?? 0n);
    const before = this.#root;
    this.#root = root;
    for (const key of before?.pending ?? [])
      if (!root.pending.includes(key)) this.#applies(key, before!.pending);
    if (before?.rosterVersion !== root.rosterVersion) {
      const roster = this.rosterOf(root);
      for (const [node, start] of roster.starts) this.#known.set(node, start);
      this.#rosters.check(roster, isOpen(root));
    }
    for (const [key, step] of root.steps) {
      const was = before?.steps.get(key);
      const event = this.#events.get(key);
      if (event === undefined) {
        this.#judge.fail("I9", `barrier ${key} is open and the log has no such event`);
        continue;
      }
      const name = describe(event);
      if (was === undefined && this.#closed.has(key)) this.#judge.fail("I9", `${name} is opened again`);
      const granted = (one: typeof was) => (one === undefined ? 0 : one.grants.length + (one.forgotten ?? 0));
      if (granted(step) > granted(was)) this.#grants(root, event, key);
      if (step.phase === "passing" && was?.phase !== "passing" && !this.#downstream.isWritten(event))
        this.#judge.fail("I3", `${name} is in phase passing and not written`);
      if (step.phase === "closed" && was?.phase !== "closed") this.#closes(root, event, key);
      if (was?.phase === "closed" && step.phase !== "closed")
        this.#judge.fail("I9", `${name} goes on after its end`);
    }
    for (const [key, { phase }] of root.steps)
      if (phase === "writing" && !this.#changedAt.has(key))
        if (this.#livesOf(root, this.#events.get(key)!) !== this.#grantedLives.get(key))
          this.#changedAt.set(key, this.#now());
    this.#floor(root, before);
    for (const key of before?.steps.keys() ?? [])
      if (!root.steps.has(key) && before!.steps.get(key)!.phase !== "closed")
        this.#judge.fail("I5", `${key} leaves the root and was not closed`);
  }

  /** An epoch is to be opened with the tables at a commitTs. */
  opens(epoch: bigint, at: bigint): void {
    this.#rosters.opens(epoch, at);
    if (at > (this.#openedAt.get(epoch) ?? -1n)) this.#openedAt.set(epoch, at);
  }

  /** A higher epoch knows nothing of the one before (protocol.md R1). */
  #starts(root: Root, before: bigint): void {
    if (root.epoch < before) this.#judge.fail("R1", `epoch ${root.epoch} begins after ${before}`);
    if (before > 0n) this.epochSince = this.#now();
    this.#root = undefined;
    this.#rosterVersion = -1;
    this.#rosters.starts(root.epoch);
    for (const known of [this.#applied, this.#closed, this.#grantedLives, this.#changedAt]) known.clear();
  }

  rosterOf(root: Root): StoredRoster {
    if (this.#roster !== undefined && this.#rosterVersion === root.rosterVersion) return this.#roster;
    const { roster, missing } = readStored(root.pointers, (name) =>
      this.#store.chunks.get(`${this.#space} ${name}`),
    );
    for (const name of missing) this.#judge.fail("roster", `the root points to chunk ${name}, which is gone`);
    this.#roster = roster;
    this.#rosterVersion = root.rosterVersion;
    return roster;
  }

  /** The lives of a root's roster that an event touches, by the log, and that were not past it when they began. */
  #touched(root: Root, event: LogEvent): Standing[] {
    const found: Standing[] = [];
    for (const life of this.rosterOf(root).lives.values()) {
      const touched = life.tableId === 0n ? event.trigger : event.tables.has(life.tableId);
      if (!touched) continue;
      const said = this.#sayings.on(life.node, life.id, life.life);
      const sinces = said.flatMap((one) => [...(one.registered.get(root.epoch)?.since ?? [])]);
      // It may have gone on between two registrations: either may have come first.
      const since = sinces.includes(life.since)
        ? life.since
        : sinces.reduce((a, b) => (a < b ? a : b), sinces[0] ?? 0n);
      if (!isBehind(since, event.capture.key)) found.push({ life, said });
    }
    return found;
  }

  /** Who an open barrier lacks, by what lives have said: for people. */
  lacks(key: string): string {
    const root = this.#root!;
    const event = this.#events.get(key)!;
    const done = root.steps.get(key)!.phase === "passing";
    const silent = this.#touched(root, event)
      .filter(({ said }) => !said.some((one) => (done ? one.done : one.waiting).has(key)))
      .map(({ life }) => `${life.id.slice(-4)} of table ${life.tableId} on ${life.node}`);
    const gaps = [...event.tables]
      .filter((tableId) => !this.#covers(root, tableId))
      .map((tableId) => `all of table ${tableId}`);
    return [...silent, ...gaps].join(" and ") || "nobody";
  }

  /** Whether the spans that lives have registered for a table join (protocol.md R9). */
  #covers(root: Root, tableId: bigint): boolean {
    const lives = [...this.rosterOf(root).lives.values()].filter((life) => life.tableId === tableId);
    return covered(
      lives.flatMap(({ node, id, life }) =>
        this.#sayings.on(node, id, life).flatMap((one) => one.registered.get(root.epoch) ?? []),
      ),
    );
  }

  #livesOf(root: Root, event: LogEvent): string {
    const lives = this.#touched(root, event).map(({ life }) => `${life.id}@${life.life}`);
    return lives.sort().join();
  }

  /** I1, I2, M9. */
  #grants(root: Root, event: LogEvent, key: string): void {
    const name = describe(event);
    const step = root.steps.get(key)!;
    const grant = step.grants.at(-1)!;
    const node = this.rosterOf(root).lives.get(grant.id)?.node;
    this.#granted.set(`${key} ${node} ${grant.id}@${lifeOn(node ?? "", grant.life)}`, root.epoch);
    if (step.phase !== "writing") this.#judge.fail("I2", `${name} is granted in phase ${step.phase}`);
    this.#grantedLives.set(key, this.#livesOf(root, event));
    this.#changedAt.delete(key);
    // It was at it when it registered: told so in a former epoch, and nothing is sent to it (protocol.md M14).
    if (grant.registered) return;
    const touched = this.#touched(root, event);
    for (const { life, said } of touched)
      if (!said.some((one) => one.waiting.has(key)))
        this.#judge.fail("I1", `${name} is granted and ${life.id.slice(-4)}@${life.life} has not reported`);
    // Who started behind the event need not report, and covers its span all the same (protocol.md R10).
    for (const tableId of event.tables)
      if (!this.#covers(root, tableId))
        this.#judge.fail("I1", `${name} is granted and table ${tableId} is not covered`);
    const former = step.grants.at(-2);
    if (former && former.id !== grant.id && touched.some(({ life }) => life.id === former.id))
      this.#judge.fail(
        "I2",
        `${name} has another writer and the first, ${former.id.slice(-4)}, is still there`,
      );
    for (const other of this.#earlier(event))
      this.#judge.fail("M9", `${name} is granted before ${describe(other)} has changed the roster`);
  }

  /** Events before this one that must have changed the roster: those whose table trigger or tables it has in common. */
  #earlier(event: LogEvent): LogEvent[] {
    return this.#workload.events.filter(
      (other) =>
        other.changesRoster &&
        isBefore(other.capture.key, event.capture.key) &&
        !this.#applied.has(storedName(other.capture.key)) &&
        !isBehind(this.#openedAt.get(this.#root?.epoch ?? 0n) ?? 0n, other.capture.key) &&
        ((event.trigger && !this.#mayBeUntold(other, event)) ||
          !other.tables.isDisjointFrom(event.tables) ||
          other.capture.needAddedTables?.some((table) => event.tables.has(table.tableId))),
    );
  }

  /** Whether the roster names a dispatcher of a node; without `id`: any, or the node's queue, by which it is asked for others. */
  isNamed(node: string, id?: string): boolean {
    const root = this.#root;
    if (root === undefined) return false;
    const { lives, queues } = this.rosterOf(root);
    if (id !== undefined) return lives.get(id)?.node === node;
    return !!queues.get(node) || [...lives.values()].some((life) => life.node === node);
  }

  /** Whether somebody on an old node writes. */
  awaitsOldWriter(): boolean {
    const { lives } = this.#root ? this.rosterOf(this.#root) : { lives: new Map<string, StoredLife>() };
    const writes = ({ phase, grants }: Step) =>
      phase === "writing" && isOldName(lives.get(grants.at(-1)?.id ?? "")?.node ?? "");
    return [...(this.#root?.steps.values() ?? [])].some(writes);
  }

  /** An old table trigger holds only `DB` and `All` until it is told that a table it created is known (ticdc.md TD6). */
  #mayBeUntold(other: LogEvent, { capture }: LogEvent): boolean {
    const trigger = [...this.rosterOf(this.#root!).lives.values()].find((life) => life.tableId === 0n);
    const held = capture.blockTables?.type !== "tables";
    return other.kind === "create" && !held && trigger !== undefined && isOldName(trigger.node);
  }

  /** M10: each event changes the roster once, when it is written and all before it have. */
  #applies(key: string, pending: readonly string[]): void {
    const event = this.#events.get(key)!;
    if (this.#applied.has(key)) this.#judge.fail("M10", `${describe(event)} changes the roster again`);
    this.#applied.add(key);
    const behind = isBehind(this.#openedAt.get(this.#root?.epoch ?? 0n) ?? 0n, event.capture.key);
    this.#rosters.applied(event, behind);
    if (!this.#downstream.isWritten(event))
      this.#judge.fail("M10", `${describe(event)} changes the roster before it is written`);
    this.#changed(event, behind);
    if (pending.some((other) => other < key))
      this.#judge.fail("M10", `${describe(event)} changes the roster and an earlier one is known`);
    // Events that nobody waits for may be told in any order.
    if (event.kind === "create") return;
    for (const other of this.#earlier(event))
      this.#judge.fail("M10", `${describe(event)} changes the roster before ${describe(other)}`);
  }

  /**
   * The roster behind an event that changes it.
   * @param behind it is from before the opening of the epoch, in which what it adds and renames is told already
   */
  #changed({ kind, capture, tables }: LogEvent, behind: boolean): void {
    const roster = this.rosterOf(this.#root!);
    if (capture.needDroppedTables)
      for (const tableId of tables)
        if (roster.tables.has(tableId) || ofTable(roster, tableId).length > 0)
          this.#judge.fail("M10", `table ${tableId} is in the roster behind its ${kind}`);
    if (behind) return;
    for (const { tableId, schemaId } of capture.needAddedTables ?? [])
      if (roster.tables.get(tableId) !== schemaId)
        this.#judge.fail("M10", `table ${tableId} is not in the roster behind its ${kind}`);
    for (const { tableId, newSchemaId } of capture.updatedSchemas ?? [])
      if (ofTable(roster, tableId).some((life) => life.schemaId !== newSchemaId))
        this.#judge.fail("M10", `table ${tableId} is not in its new schema behind its ${kind}`);
  }

  /**
   * The floor never sinks. Up to it everything is written and in the roster, and whoever stands in the roster is done with it:
   * nothing more is opened there (I9).
   */
  #floor(root: Root, before: Root | undefined): void {
    if (before !== undefined && root.floor < before.floor)
      this.#judge.fail("I9", `the floor sinks from ${before.floor} to ${root.floor}`);
    if (root.floor === before?.floor) return;
    for (const event of this.#workload.events) {
      const key = storedName(event.capture.key);
      if (key > root.floor) continue;
      const name = `${describe(event)}, which the floor ${root.floor} has passed,`;
      if (root.steps.has(key)) this.#judge.fail("I9", `${name} is open`);
      if (!this.#downstream.isWritten(event)) this.#judge.fail("I9", `${name} is not written`);
      if (
        event.changesRoster &&
        !this.#applied.has(key) &&
        !isBehind(this.#openedAt.get(root.epoch) ?? 0n, event.capture.key)
      )
        this.#judge.fail("I9", `${name} has not changed the roster`);
      for (const life of this.#undone(root, event, key))
        this.#judge.fail("I9", `${name} is not behind ${life.id.slice(-4)}@${life.life}`);
    }
  }

  /**
   * Whether a report is refused rightly although a good node sent it: it is of lives from before this epoch, whose numbers
   * dispatchers on another node have by now (R7).
   */
  isFromBefore(letter: Pick<DeadLetter, "body" | "attributes">): boolean {
    return this.#root !== undefined && this.#sayings.isFromBefore(this.#root.epoch, letter);
  }

  /** Whether everybody whom an event touches was done with it when it was closed (I5). Of a CREATE its ACK is owed all the same. */
  isOver(key: string): boolean {
    return this.#closed.has(key) && this.#events.get(key)?.kind !== "create";
  }

  /** I5. */
  #closes(root: Root, event: LogEvent, key: string): void {
    const name = describe(event);
    this.#closed.add(key);
    this.closedByKind[event.kind] = (this.closedByKind[event.kind] ?? 0) + 1;
    if (!this.#downstream.isWritten(event)) this.#judge.fail("I5", `${name} is closed and not written`);
    for (const life of this.#undone(root, event, key))
      this.#judge.fail("I5", `${name} is closed and ${life.id.slice(-4)}@${life.life} is not done`);
  }

  /** Lives of the roster that an event touches and that have not said to be done with it, or behind it. */
  #undone(root: Root, event: LogEvent, key: string): StoredLife[] {
    if (event.kind === "create") return [];
    return this.#touched(root, event).flatMap(({ life, said }) => {
      const later = said.some((one) => [...one.keys].some((other) => other > key));
      const done = said.some((one) => one.done.has(key));
      // It starts again from before a rename that is applied: its table is of another schema by now, the event was written
      // before that, and its WAITING is answered with Pass (protocol.md M17a).
      const renamed =
        event.capture.blockTables?.type === "schema" && isBehind(life.schemaSince, event.capture.key);
      return done || later || renamed ? [] : [life];
    });
  }

  /**
   * I3 for messages, and I2: Write goes to nobody who was not granted it, and under no grant whose lives had changed before
   * the invocation knew the root (protocol.md M6a).
   * @param knownSince virtual time of the oldest root that the invocation may stand on
   */
  sent(message: ActionMessage, knownSince: number): void {
    if (message.type === "RegistrationResult") this.#accepts(message);
    if (message.type === "ScheduleDispatcherRequest")
      for (const node of this.#nodesOf.get(message.queue) ?? [])
        this.#sayings.asks(node, readMessage(message.type, message.encoding, message.body));
    if (message.type !== "HeartBeatResponse") return;
    const response = readMessage("HeartBeatResponse", message.encoding, message.body);
    const epoch = response.maintainerEpoch;
    const present = epoch === this.#root?.epoch;
    const nodes = [...(this.#nodesOf.get(message.queue) ?? [])];
    for (const status of response.dispatcherStatuses) {
      const { action, ack } = status;
      if (ack !== undefined) {
        const key = storedName({ commitTs: ack.CommitTs, isSyncPoint: ack.IsSyncPoint });
        for (const [index, id] of status.influencedDispatchers!.DispatcherIDs.entries())
          for (const node of nodes)
            newest(this.#acks, `${key} ${node} ${idOf(id)}@${lifeOn(node, status.lives[index])}`, epoch);
      }
      if (action === undefined) continue;
      const key = { commitTs: action.CommitTs, isSyncPoint: action.IsSyncPoint };
      const event = this.#events.get(storedName(key));
      if (event === undefined)
        this.#judge.fail("I9", `an action for ${storedName(key)}, which the log does not have`);
      else if (action.action === Action.Pass) {
        if (!this.#downstream.isWritten(event))
          this.#judge.fail("I3", `Pass of ${describe(event)} is sent before it is written`);
        for (const [index, id] of status.influencedDispatchers!.DispatcherIDs.entries())
          for (const node of nodes)
            newest(
              this.#passes,
              `${storedName(key)} ${node} ${idOf(id)}@${lifeOn(node, status.lives[index])}`,
              epoch,
            );
      } else if (present && (this.#changedAt.get(storedName(key)) ?? Number.POSITIVE_INFINITY) < knownSince)
        this.#judge.fail(
          "I1",
          `Write of ${describe(event)} is sent under a grant of lives that have changed`,
        );
      else
        for (const [index, id] of status.influencedDispatchers!.DispatcherIDs.entries()) {
          const grants = nodes.map((node) => {
            const life = `${idOf(id)}@${lifeOn(node, status.lives[index])}`;
            return this.#granted.get(`${storedName(key)} ${node} ${life}`) ?? 0n;
          });
          if (!grants.some((granted) => granted >= epoch))
            this.#judge.fail("I2", `Write of ${describe(event)} is sent to a life that was not granted it`);
        }
    }
  }

  /** protocol.md R9a. */
  #accepts({ queue, body }: ActionMessage): void {
    const { accepted, maintainerEpoch, start } = JSON.parse(body) as {
      accepted: { id: { high: string; low: string }; life: string }[];
      maintainerEpoch: string;
      start: string;
    };
    const epoch = BigInt(maintainerEpoch);
    for (const { id, life } of accepted)
      for (const node of this.#nodesOf.get(queue) ?? []) {
        const name = idOf({ high: BigInt(id.high), low: BigInt(id.low) });
        this.#rosters.accepted(epoch, node, name, BigInt(life), BigInt(start));
      }
    if (epoch === this.#root?.epoch) this.#rosters.check(this.rosterOf(this.#root), isOpen(this.#root));
  }

  /** Whether a life of the roster has been told, in the present epoch, that an event is acknowledged, or to pass it. */
  wasTold(what: "ack" | "pass", key: string, { id, life, node }: StoredLife): boolean {
    const told = what === "ack" ? this.#acks : this.#passes;
    return (told.get(`${key} ${node} ${id}@${lifeOn(node, life)}`) ?? -1n) >= this.#root!.epoch;
  }

  /** A dispatcher does what it was told. */
  executes(incarnation: Incarnation, event: LogEvent, action: "write" | "pass"): void {
    const key = storedName(event.capture.key);
    const { carrier, node, life, name } = incarnation;
    const said = this.#saidOf(incarnation);
    // What nobody was asked about is written at once.
    if (!said.waiting.has(key)) return;
    // An old node may be told by influence, without ids: that nothing is passed before it is written, its sink watches.
    if (action === "pass" && isOldName(node)) return;
    const told = action === "write" ? this.#granted : this.#passes;
    const epoch = told.get(`${key} ${node} ${carrier.id}@${life}`);
    if (epoch === undefined)
      this.#judge.fail("I2", `${name} ${action}s ${describe(event)} and was not told so in this life`);
    else if (epoch < this.followedOn(node))
      this.#judge.fail("D11", `${name} ${action}s ${describe(event)}, as epoch ${epoch} has told it`);
  }

  /** D10a: who is closed has told what it did. */
  closed(incarnation: Incarnation): void {
    const { name, executing, executed } = incarnation;
    if (executing !== undefined) this.#judge.fail("D10a", `${name} is closed and still at ${executing}`);
    const said = this.#saidOf(incarnation);
    for (const key of executed.keys())
      if (said.waiting.has(key) && !said.done.has(key))
        this.#judge.fail("D10a", `${name} is closed and has not told that it did ${key}`);
  }

  /** Whether the DONE of a key is in the status queue. */
  hasTold(incarnation: Incarnation, key: string): boolean {
    return this.#saidOf(incarnation).done.has(key);
  }

  #saidOf({ carrier, node, process, life }: Incarnation): Said {
    return this.#sayings.by(process, node, carrier.id, life);
  }
}

/** Whether all parts of the opening have come (protocol.md R1). */
function isOpen({ meta }: Root): boolean {
  return meta.partsExpected > 0 && meta.parts.length === meta.partsExpected;
}

function ofTable(roster: StoredRoster, tableId: bigint): StoredLife[] {
  return [...roster.lives.values()].filter((life) => life.tableId === tableId);
}

function newest(epochs: Map<string, bigint>, name: string, epoch: bigint): void {
  if (epoch > (epochs.get(name) ?? -1n)) epochs.set(name, epoch);
}
