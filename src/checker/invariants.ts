import type { BlockEvent } from "../barrier/event.ts";
import { eventFromBytes } from "../barrier/event.ts";
import type { Chunk, Life, TableEntry } from "../barrier/roster.ts";
import type { Phase, Step } from "../barrier/step.ts";
import type { BarrierItem, Root } from "../maintainer/port.ts";
import type { Request } from "../maintainer/program.ts";
import { type EventKey, keyText } from "../protocol/eventkey.ts";
import { ComponentState } from "../protocol/messages.ts";
import { type Ghosts, named } from "./ghost.ts";
import type { StoreIds, StoreParts } from "./storeparts.ts";
import type { Instruction, Wire } from "./wire.ts";
import { keyWords } from "./wire.ts";

export interface Judged {
  readonly ghost: number;
  readonly faults: readonly string[];
}

/** The roster of a root, read anew here: the rules that are checked are not those that are checked with. */
interface Seen {
  readonly lives: readonly Life[];
  readonly tables: readonly TableEntry[];
}

/**
 * Watches the operations of invocations: each commit is judged on what is stored and on what dispatchers really did, with
 * the rules of design.md section 3 written down a second time.
 */
export class Invariants {
  readonly #parts: StoreParts;
  readonly #ghosts: Ghosts;
  readonly #wire: Wire;
  readonly #understood: (body: string) => boolean;
  readonly #judged = new Map<string, Judged>();

  /** @param understood whether a body should not have been put aside */
  constructor(parts: StoreParts, ghosts: Ghosts, wire: Wire, understood: (body: string) => boolean) {
    this.#parts = parts;
    this.#ghosts = ghosts;
    this.#wire = wire;
    this.#understood = understood;
  }

  /** Judges an operation that took effect. */
  operation(before: StoreIds, request: Request, requestId: number, after: StoreIds, ghost: number): Judged {
    const { method } = request;
    if (method !== "commitRoot" && method !== "touchBarrier" && method !== "expireChunks")
      return { ghost, faults: [] };
    if (before === after) return { ghost, faults: [] };
    const parts = this.#parts;
    const roots = `${parts.idOf(before, "roots")} ${parts.idOf(after, "roots")}`;
    const name = `${requestId} ${roots} ${parts.idOf(before, "chunks")} ${parts.idOf(after, "chunks")} ${ghost}`;
    let judged = this.#judged.get(name);
    if (judged === undefined) {
      judged =
        method === "touchBarrier"
          ? this.#barrier(after, request as Request & { method: "touchBarrier" }, ghost)
          : this.#root(before, after, ghost);
      this.#judged.set(name, judged);
    }
    return judged;
  }

  /** Judges what is sent to a dispatcher. */
  told(one: Instruction, ghost: number): string[] {
    if (one.kind !== "write" && one.kind !== "pass") return [];
    const past = this.#ghosts.get(ghost);
    const key = keyText(one.key);
    if (one.kind === "write" && !past.granted.includes(named(key, one.id, one.life)))
      return [`I1: ${this.#wire.instructionWords(one)} is sent without a grant`];
    if (one.kind === "pass" && !past.wrote.some((who) => who.startsWith(`${key} `)))
      return [`I3: ${this.#wire.instructionWords(one)} is sent before anybody has written the event`];
    return [];
  }

  /** Judges what is put aside. */
  aside(body: string, reason: string, ghost: number): Judged {
    const faults = this.#understood(body) ? [`I10: a good message was put aside: ${reason}`] : [];
    return { ghost: this.#ghosts.with(ghost, "aside", body), faults };
  }

  rootOf(ids: StoreIds): Root | undefined {
    const [root] = this.#parts.table<Root>(ids, "roots").values();
    return root;
  }

  /** Whether a life stands in the roster. */
  stands(ids: StoreIds, id: string, life: bigint): boolean {
    const root = this.rootOf(ids);
    return (
      root !== undefined &&
      seenIn(this.#chunks(ids, root)).lives.some((one) => one.id === id && one.life === life)
    );
  }

  #barrier(after: StoreIds, { args }: Request & { method: "touchBarrier" }, ghost: number): Judged {
    const [{ key }, , { tombstone }] = args;
    if (tombstone === undefined) return { ghost, faults: [] };
    const phase = this.rootOf(after)?.steps.get(key)?.phase;
    if (phase === undefined || phase === "closed") return { ghost, faults: [] };
    return { ghost, faults: [`I5: event ${keyWords(key)} gets its tombstone in phase ${phase}`] };
  }

  #root(before: StoreIds, after: StoreIds, first: number): Judged {
    const faults: string[] = [];
    let ghost = first;
    const from = this.rootOf(before);
    const to = this.rootOf(after);
    if (to === undefined) return { ghost, faults };
    const chunks = this.#chunks(after, to);
    if (chunks.some((chunk) => chunk === undefined)) faults.push("the root points to a chunk that is gone");
    const sameEpoch = from?.epoch === to.epoch;
    for (const [key, step] of to.steps) {
      const was = sameEpoch ? from?.steps.get(key) : undefined;
      const event = this.#event(after, to.epoch, key, step);
      if (event === undefined) faults.push(`event ${keyWords(key)} is open and nobody knows what it is`);
      else ghost = this.#step(seenIn(chunks), to, key, was, step, event, ghost, faults);
    }
    if (sameEpoch)
      for (const [key, was] of from!.steps)
        if (!to.steps.has(key) && was.phase !== "closed")
          faults.push(`I5: event ${keyWords(key)} leaves the root in phase ${was.phase}`);
    if (sameEpoch) {
      for (const key of from!.pending)
        if (!to.pending.includes(key)) {
          if (from!.pending.some((other) => other < key))
            faults.push(`I8: event ${keyWords(key)} changes the roster before an earlier one`);
          if (!this.#ghosts.get(ghost).wrote.some((who) => who.startsWith(`${key} `)))
            faults.push(`I8: event ${keyWords(key)} changes the roster before it is written`);
        }
    }
    return { ghost, faults };
  }

  #step(
    seen: Seen,
    root: Root,
    key: string,
    was: Step | undefined,
    step: Step,
    event: BlockEvent,
    first: number,
    faults: string[],
  ): number {
    let ghost = first;
    const words = `event ${keyWords(key)}`;
    const past = this.#ghosts.get(ghost);
    if (was === undefined && past.closed.includes(key)) faults.push(`I9: ${words} is opened again`);
    if (was && !FOLLOWS[was.phase].includes(step.phase))
      faults.push(`I3: ${words} goes from phase ${was.phase} to ${step.phase}`);
    const grants = was?.grants.length ?? 0;
    if (step.grants.length > grants) {
      const grant = step.grants.at(-1)!;
      faults.push(...this.#granted(seen, root, key, step, was, event, past.waited));
      ghost = this.#ghosts.with(ghost, "granted", named(key, grant.id, grant.life));
    }
    const written = past.wrote.some((who) => who.startsWith(`${key} `));
    if (step.phase === "passing" && was?.phase !== "passing" && !written)
      faults.push(`I3: ${words} counts as written, and nobody has written it`);
    if (step.phase === "closed" && was?.phase !== "closed") {
      ghost = this.#ghosts.with(ghost, "closed", key);
      if (!written) faults.push(`I3: ${words} closes, and nobody has written it`);
      if (event.blocking)
        for (const life of influenced(seen, event)) {
          const who = named(key, life.id, life.life);
          if (!past.wrote.includes(who) && !past.passed.includes(who))
            faults.push(`I5: ${words} closes before ${this.#wire.nameOf(life.id)}@${life.life} is done`);
        }
    }
    return ghost;
  }

  /** I1, I2 and I8 for a grant that was committed just now. */
  #granted(
    seen: Seen,
    root: Root,
    key: string,
    step: Step,
    was: Step | undefined,
    event: BlockEvent,
    waited: readonly string[],
  ): string[] {
    const faults: string[] = [];
    const words = `event ${keyWords(key)}`;
    const touched = influenced(seen, event);
    for (const life of touched)
      if (!waited.includes(named(key, life.id, life.life)))
        faults.push(
          `I1: Write of ${words} is granted, and ${this.#wire.nameOf(life.id)}@${life.life} does not wait for it`,
        );
    for (const life of touched)
      if (life.tableId !== 0n && life.state !== ComponentState.Working)
        faults.push(
          `I1: Write of ${words} is granted, and ${this.#wire.nameOf(life.id)}@${life.life} does not replicate yet`,
        );
    for (const table of expected(seen, event))
      if (!tiled(seen.lives.filter((life) => life.tableId === table)))
        faults.push(`I1: Write of ${words} is granted, and table ${table} is not covered`);
    if (root.pending.some((other) => other < key))
      faults.push(`I8: Write of ${words} is granted before an earlier event has changed the roster`);
    const grant = step.grants.at(-1)!;
    if (!touched.some((life) => life.id === grant.id && life.life === grant.life))
      faults.push(`I2: Write of ${words} is granted to who is not touched by it`);
    const former = was?.grants.at(-1);
    const known = former && seen.lives.some((life) => life.id === former.id);
    if (former && former.id !== grant.id && known)
      faults.push(
        `I2: ${this.#wire.nameOf(grant.id)} becomes the writer of ${words} while ${this.#wire.nameOf(former.id)} is still there`,
      );
    return faults;
  }

  #event(ids: StoreIds, epoch: bigint, key: string, step: Step): BlockEvent | undefined {
    if (step.event) return eventFromBytes(step.event);
    const space = [...this.#parts.table<Root>(ids, "roots").keys()][0];
    const path = `${space} ${epoch} ${key}`;
    const item = this.#parts.table<BarrierItem>(ids, `barriers ${path}`).get(path);
    return item && eventFromBytes(item.event);
  }

  #chunks(ids: StoreIds, root: Root): (Chunk | undefined)[] {
    const table = this.#parts.table<Chunk>(ids, "chunks");
    const [space] = this.#parts.table<Root>(ids, "roots").keys();
    return root.pointers.map((pointer) => table.get(`${space} ${pointer.name}`));
  }
}

/** The steps that one write may take; `waiting` to `passing`: somebody is past it (protocol.md M15). */
const FOLLOWS: Readonly<Record<Phase, readonly Phase[]>> = {
  waiting: ["waiting", "writing", "written", "passing"],
  writing: ["writing", "written", "passing"],
  written: ["written", "passing", "closed"],
  passing: ["passing", "closed"],
  closed: ["closed"],
};

function seenIn(chunks: readonly (Chunk | undefined)[]): Seen {
  const lives: Life[] = [];
  const tables: TableEntry[] = [];
  for (const chunk of chunks)
    if (chunk?.kind === "dispatchers") lives.push(...chunk.lives);
    else if (chunk?.kind === "tables") tables.push(...chunk.tables);
  return { lives, tables };
}

/** Checkpoint T is past the DDL at T and not past the syncpoint at T (protocol.md R10). */
function behind(checkpoint: bigint, key: EventKey): boolean {
  return key.isSyncPoint ? key.commitTs < checkpoint : key.commitTs <= checkpoint;
}

/** Whom an event touches and who has not been past it from the start (protocol.md M4, R10). */
function influenced({ lives }: Seen, { influence, key }: BlockEvent): Life[] {
  return lives.filter((life) => {
    if (behind(life.since, key)) return false;
    if (influence.type === "All") return true;
    if (influence.type === "Normal") return influence.tableIds.has(life.tableId);
    return life.tableId === 0n || (life.schemaId === influence.schemaId && !behind(life.schemaSince, key));
  });
}

/** The tables that must be covered whole (protocol.md R8). */
function expected({ tables }: Seen, { influence, key }: BlockEvent): bigint[] {
  return tables
    .filter((table) => {
      if (behind(table.since, key)) return false;
      if (influence.type === "All") return true;
      if (influence.type === "Normal") return influence.tableIds.has(table.tableId);
      return table.schemaId === influence.schemaId && !behind(table.schemaSince, key);
    })
    .map((table) => table.tableId);
}

/** Whether spans join from the start of their table to its end (protocol.md R9); ends of tables are empty keys here. */
function tiled(lives: readonly Life[]): boolean {
  const text = (key: Uint8Array) => Buffer.from(key).toString("latin1");
  let reached = "";
  for (;;) {
    const next = lives.filter((life) => text(life.start) <= reached);
    if (next.some((life) => life.end.length === 0)) return true;
    const furthest = next.reduce((end, life) => (text(life.end) > end ? text(life.end) : end), reached);
    if (furthest === reached) return false;
    reached = furthest;
  }
}
