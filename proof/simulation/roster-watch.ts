import type { Encoding } from "../../src/protocol/codec.ts";
import { readMessage } from "./reading.ts";
import type { Said, Sayings } from "./said.ts";
import type { StoredLife, StoredRoster } from "./stored.ts";
import type { Judge } from "./violation.ts";
import { type LogEvent, openingAt, type Workload } from "./workload.ts";

/** A life that the coordinator has accepted: it must not be forgotten. */
interface Taken {
  readonly said: Said;
  readonly tableId: bigint;
  readonly start: bigint;
}

/**
 * The roster as it may be and as it must be, by what nodes have said and by what the log says of the events that were applied:
 * a second opinion on each roster that the coordinator writes (protocol.md R1 to R10, M10). Between what must be there and
 * what may be there stand only messages that are under way.
 */
export class RosterWatch {
  readonly #workload: Workload;
  readonly #sayings: Sayings;
  readonly #judge: Judge;
  #epoch = 0n;
  /** Of the present epoch: the highest life of each dispatcher that ever stood, and those that do not stand any more. */
  readonly #stood = new Map<string, bigint>();
  readonly #left = new Set<string>();
  #present: ReadonlyMap<string, StoredLife> = new Map();
  /** By dispatcher, what was taken with the highest life. */
  readonly #taken = new Map<bigint, Map<string, Taken>>();
  /** By node, the highest `start` of which a registration was taken. */
  readonly #starts = new Map<bigint, Map<string, bigint>>();
  /** commitTs at which each epoch may have been opened; 0: with the tables at the beginning of the log. */
  readonly #openings = new Map<bigint, Set<bigint>>([[1n, new Set([0n])]]);
  readonly #dropped = new Set<bigint>();
  readonly #added = new Set<bigint>();
  readonly #mayBeAdded = new Set<bigint>();

  constructor(workload: Workload, sayings: Sayings, judge: Judge) {
    this.#workload = workload;
    this.#sayings = sayings;
    this.#judge = judge;
  }

  /** A higher epoch knows nothing of the one before. */
  starts(epoch: bigint): void {
    this.#epoch = epoch;
    for (const known of [this.#stood, this.#left, this.#dropped, this.#added, this.#mayBeAdded])
      known.clear();
    this.#present = new Map();
  }

  opens(epoch: bigint, at: bigint): void {
    this.#openings.set(epoch, (this.#openings.get(epoch) ?? new Set()).add(at));
  }

  /**
   * An event has changed the roster.
   * @param behind it is from before the opening, which tells the tables as they are behind it: what it adds may have gone since
   */
  applied({ capture, tables }: LogEvent, behind: boolean): void {
    if (capture.needDroppedTables) for (const tableId of tables) this.#dropped.add(tableId);
    for (const { tableId } of capture.needAddedTables ?? [])
      (behind ? this.#mayBeAdded : this.#added).add(tableId);
  }

  /** The coordinator has dealt with a registration. */
  took(body: string, attributes: Readonly<Record<string, string>>): void {
    const encoding = attributes["encoding"] as Encoding;
    const { maintainerEpoch } = readMessage("MaintainerBootstrapResponse", encoding, body);
    const start = BigInt(attributes["start"] ?? 0);
    const node = attributes["from"] ?? "";
    const starts = of(this.#starts, maintainerEpoch || 1n);
    if (start > (starts.get(node) ?? -1n)) starts.set(node, start);
  }

  /** The coordinator has dealt with the word of a node that goes for good: nobody of that start of it stands any more. */
  left(node: string, start: bigint): void {
    const starts = of(this.#starts, this.#epoch);
    if (start >= (starts.get(node) ?? -1n)) starts.set(node, start + 1n);
  }

  /** A node is told that a life is accepted: then it stands, until something ends it. */
  accepted(epoch: bigint, node: string, id: string, life: bigint, start: bigint): void {
    const taken = of(this.#taken, epoch);
    if (life <= (taken.get(id)?.said.life ?? -1n)) return;
    for (const said of this.#sayings.on(node, id, life)) {
      const { tableId } = said.registered.get(epoch) ?? {};
      // Another process may have registered the life that it was asked for as well: the answer is not its.
      if (tableId !== undefined && said.starts.has(start)) taken.set(id, { said, tableId, start });
    }
  }

  /** A roster is written, or a node is told of it: whether it is one that there can be. */
  check(roster: StoredRoster, opened: boolean): void {
    for (const life of roster.lives.values()) this.#mayBe(life);
    for (const [id, life] of this.#present) {
      const now = roster.lives.get(id);
      if (now?.life !== life.life || now.node !== life.node) this.#left.add(named(life));
    }
    this.#present = roster.lives;
    for (const [id, taken] of this.#taken.get(this.#epoch) ?? []) this.#mustBe(id, taken, roster);
    if (opened) this.#tables(roster);
  }

  #mayBe(life: StoredLife): void {
    const { id, node } = life;
    const name = `${id.slice(-4)}@${life.life} of ${node}`;
    const said = this.#sayings.on(node, id, life.life).filter((one) => one.registered.has(this.#epoch));
    const fits = said.some((one) => {
      const { tableId, from, to } = one.registered.get(this.#epoch)!;
      return tableId === life.tableId && from === life.from && to === life.to;
    });
    if (!fits) this.#judge.fail("R2", `${name} stands in the roster, and nobody has registered it so`);
    const highest = this.#stood.get(id) ?? 0n;
    if (life.life < highest) this.#judge.fail("R4", `${name} stands, and life ${highest} stood before`);
    if (this.#left.has(named(life))) this.#judge.fail("R5", `${name} was over and stands again`);
    this.#stood.set(id, life.life > highest ? life.life : highest);
    // One that this epoch never had may come to its drop again, which was in the epoch before.
    if (this.#dropped.has(life.tableId) && this.#isNamed(life.tableId))
      this.#judge.fail("M10", `${name} stands, and its table was dropped`);
    const start = this.#starts.get(this.#epoch)?.get(node) ?? 0n;
    if (said.length > 0 && said.every((one) => one.start < start))
      this.#judge.fail("R5", `${name} stands, and its node has started again since`);
  }

  /** Who was accepted stands, or a higher life of it does, or something that somebody said has ended it. */
  #mustBe(id: string, { said, tableId, start }: Taken, roster: StoredRoster): void {
    const { life, node, process } = said;
    if ((roster.lives.get(id)?.life ?? -1n) >= life || this.#dropped.has(tableId)) return;
    if (this.#sayings.highest(this.#epoch, id) > life) return;
    if (this.#sayings.highestStart(this.#epoch, node) > start || this.#sayings.hasLeft(process)) return;
    // Only who speaks in this epoch, or hosts it, can say that it is over: a life number alone may be an old one's.
    for (const ending of this.#sayings.endings(id))
      if (ending.life >= life && (ending.epoch >= this.#epoch || ending.process === process)) return;
    this.#judge.fail(
      "R5",
      `${id.slice(-4)}@${life} of ${node} was accepted, nothing has ended it, and it is gone`,
    );
  }

  /** R1, R8, M10: the tables of the opening, and what events have made of them. */
  #tables(roster: StoredRoster): void {
    const openings = [...(this.#openings.get(this.#epoch) ?? [])].map((at) => new Set(this.#openedWith(at)));
    for (const tableId of roster.tables.keys()) {
      if (this.#dropped.has(tableId)) this.#judge.fail("M10", `table ${tableId} was dropped and is expected`);
      const mayBe = this.#added.has(tableId) || this.#mayBeAdded.has(tableId);
      if (!mayBe && !openings.some((tables) => tables.has(tableId)))
        this.#judge.fail("R8", `table ${tableId} is expected and nobody has named it`);
    }
    const must = [...this.#added, ...(openings[0] ?? [])].filter(
      (tableId) => this.#added.has(tableId) || openings.every((tables) => tables.has(tableId)),
    );
    for (const tableId of must)
      if (!this.#dropped.has(tableId) && !roster.tables.has(tableId))
        this.#judge.fail("R8", `table ${tableId} was named, nothing has dropped it, and nobody expects it`);
  }

  /** Whether an opening of this epoch or an event in it has named a table. */
  #isNamed(tableId: bigint): boolean {
    if (this.#added.has(tableId)) return true;
    return [...(this.#openings.get(this.#epoch) ?? [])].some((at) => this.#openedWith(at).includes(tableId));
  }

  #openedWith(at: bigint): bigint[] {
    const schemas = at === 0n ? this.#workload.opening : openingAt(this.#workload, at);
    return schemas.flatMap((schema) => schema.tables.map(({ tableId }) => tableId));
  }
}

function named({ node, id, life }: StoredLife): string {
  return `${node} ${id}@${life}`;
}

function of<T>(maps: Map<bigint, Map<string, T>>, epoch: bigint): Map<string, T> {
  let map = maps.get(epoch);
  if (map === undefined) {
    map = new Map();
    maps.set(epoch, map);
  }
  return map;
}
