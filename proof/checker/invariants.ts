import type { BlockEvent } from "../../src/barrier/event.ts";
import { eventFromBytes } from "../../src/barrier/event.ts";
import type { Chunk, Life } from "../../src/barrier/roster.ts";
import type { Phase, Step } from "../../src/barrier/step.ts";
import type { BarrierItem, Root } from "../../src/maintainer/base/port.ts";
import type { Request } from "../../src/maintainer/base/program.ts";
import type { Space } from "../../src/maintainer/base/space.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { grantFaults } from "./grant-faults.ts";
import { eventName, type Ghosts, named } from "./history.ts";
import { influenced, type Seen, seenIn } from "./seen.ts";
import type { StoreIds, StoreParts } from "./store-parts.ts";
import { type Instruction, keyWords, type Wire } from "./wire.ts";

export interface Judged {
  readonly ghost: number;
  readonly faults: readonly string[];
}

/**
 * Watches the operations of invocations: each commit is judged on what is stored and on what dispatchers really did, with
 * I1 to I10 of invariants.md written down a second time.
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
          : this.#root(spaceIn(request), before, after, ghost);
      this.#judged.set(name, judged);
    }
    return judged;
  }

  /** Judges what is sent to a dispatcher. */
  told(one: Instruction, ghost: number): string[] {
    if (one.kind !== "write" && one.kind !== "pass" && one.kind !== "wide") return [];
    const past = this.#ghosts.get(ghost);
    const key = eventName(keyText(one.key), one.mode === 1n);
    if (one.kind === "write" && !past.granted.includes(inEpoch(named(key, one.id, one.life), one.epoch)))
      return [`I1: ${this.#wire.instructionWords(one)} is sent without a grant`];
    if (one.kind !== "write" && !past.wrote.some((who) => who.startsWith(`${key} `)))
      return [`I3: ${this.#wire.instructionWords(one)} is sent before anybody has written the event`];
    return [];
  }

  /** Judges what is put aside. */
  aside(body: string, reason: string, ghost: number): Judged {
    const faults = this.#understood(body) ? [`I10: a good message was put aside: ${reason}`] : [];
    return { ghost: this.#ghosts.with(ghost, "aside", body), faults };
  }

  rootOf(ids: StoreIds, space: Space): Root | undefined {
    return this.#parts.table<Root>(ids, "roots").get(space.text);
  }

  /** Whether a life stands in the roster. */
  stands(ids: StoreIds, space: Space, id: string, life: bigint): boolean {
    const root = this.rootOf(ids, space);
    return (
      root !== undefined &&
      seenIn(this.#chunks(ids, space, root)).lives.some((one) => one.id === id && one.life === life)
    );
  }

  /** The source tables of the routes that are admitted. */
  routed(ids: StoreIds, space: Space): string[] {
    const root = this.rootOf(ids, space);
    const chunks = root === undefined ? [] : this.#chunks(ids, space, root);
    return chunks.flatMap((chunk) =>
      chunk?.kind === "routes" ? chunk.routes.map((one) => one.sourceTable) : [],
    );
  }

  #barrier(after: StoreIds, { args }: Request & { method: "touchBarrier" }, ghost: number): Judged {
    const [{ space, epoch, key }, , { tombstone }] = args;
    if (tombstone === undefined) return { ghost, faults: [] };
    const root = this.rootOf(after, space);
    // Of an epoch that is over nobody asks any more.
    if (root === undefined || root.epoch !== epoch) return { ghost, faults: [] };
    const phase = root.steps.get(key)?.phase;
    if (phase === undefined || phase === "closed") return { ghost, faults: [] };
    return { ghost, faults: [`I5: event ${keyWords(key)} gets its tombstone in phase ${phase}`] };
  }

  #root(space: Space, before: StoreIds, after: StoreIds, first: number): Judged {
    const faults: string[] = [];
    let ghost = first;
    const from = this.rootOf(before, space);
    const to = this.rootOf(after, space);
    if (to === undefined) return { ghost, faults };
    const chunks = this.#chunks(after, space, to);
    if (from && to.epoch < from.epoch) faults.push(`epoch ${from.epoch} becomes ${to.epoch}`);
    if (chunks.some((chunk) => chunk === undefined)) faults.push("the root points to a chunk that is gone");
    const sameEpoch = from?.epoch === to.epoch;
    for (const [key, step] of to.steps) {
      const was = sameEpoch ? from?.steps.get(key) : undefined;
      const event = this.#event(after, space, to.epoch, key, step);
      if (event === undefined) faults.push(`event ${keyWords(key)} is open and nobody knows what it is`);
      else ghost = this.#step(space, seenIn(chunks), to, key, was, step, event, ghost, faults);
    }
    const former = from === undefined ? [] : seenIn(this.#chunks(before, space, from)).lives;
    faults.push(...this.#late(former, seenIn(chunks).lives, ghost));
    if (sameEpoch)
      for (const [key, was] of from!.steps)
        if (!to.steps.has(key) && was.phase !== "closed")
          faults.push(`I5: event ${keyWords(key)} leaves the root in phase ${was.phase}`);
    if (sameEpoch) {
      for (const key of from!.pending)
        if (!to.pending.includes(key)) {
          if (from!.pending.some((other) => other < key))
            faults.push(`I8: event ${keyWords(key)} changes the roster before an earlier one`);
          if (!this.#wrote(space, key, ghost))
            faults.push(`I8: event ${keyWords(key)} changes the roster before it is written`);
        }
    }
    return { ghost, faults };
  }

  /** Of two who are asked for one dispatcher only the later one is accepted (decision 28). */
  #late(former: readonly Life[], present: readonly Life[], ghost: number): string[] {
    const { asked } = this.#ghosts.get(ghost);
    if (asked.length === 0) return [];
    const standing = new Set(former.map(({ id, life }) => `${id}@${life}`));
    return present.flatMap(({ id, life }) => {
      const later = asked
        .filter((one) => one.startsWith(`${id}@`))
        .map((one) => BigInt(one.slice(id.length + 1)))
        .find((one) => one > life);
      if (later === undefined || standing.has(`${id}@${life}`)) return [];
      const name = this.#wire.nameOf(id);
      return [`decision 28: ${name}@${life} is accepted, and another node was asked for it in life ${later}`];
    });
  }

  #wrote(space: Space, key: string, ghost: number): boolean {
    const name = eventName(key, space.mode === 1n);
    return this.#ghosts.get(ghost).wrote.some((who) => who.startsWith(`${name} `));
  }

  #step(
    space: Space,
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
    const name = eventName(key, space.mode === 1n);
    if (was === undefined && past.closed.includes(inEpoch(name, root.epoch)))
      faults.push(`I9: ${words} is opened again`);
    if (was && !FOLLOWS[was.phase].includes(step.phase))
      faults.push(`I3: ${words} goes from phase ${was.phase} to ${step.phase}`);
    const granted = (one: typeof was) => (one === undefined ? 0 : one.grants.length + (one.forgotten ?? 0));
    if (granted(step) > granted(was)) {
      const grant = step.grants.at(-1)!;
      const who = named(name, grant.id, grant.life);
      if (grant.registered) {
        // It is found, not given (decision 9): who executes something was told so, or somebody else was told to write.
        if (!past.granted.some((one) => one.startsWith(`${name} `)))
          faults.push(`I1: ${words} is said to be written now, and nobody was ever granted Write`);
        if (!past.waited.includes(who)) faults.push(`I2: ${words} has a writer that never waited for it`);
      } else {
        const waits = (life: Life) => past.waited.includes(named(name, life.id, life.life));
        faults.push(...grantFaults({ seen, root, key, step, was, event }, this.#wire, waits));
      }
      ghost = this.#ghosts.with(ghost, "granted", inEpoch(who, root.epoch));
    }
    const written = this.#wrote(space, key, ghost);
    if (step.phase === "passing" && was?.phase !== "passing" && !written)
      faults.push(`I3: ${words} counts as written, and nobody has written it`);
    if (step.phase === "closed" && was?.phase !== "closed") {
      ghost = this.#ghosts.with(ghost, "closed", inEpoch(name, root.epoch));
      if (!written) faults.push(`I3: ${words} closes, and nobody has written it`);
      if (event.blocking)
        for (const life of influenced(seen, event)) {
          const who = named(name, life.id, life.life);
          if (!past.wrote.includes(who) && !past.passed.includes(who))
            faults.push(`I5: ${words} closes before ${this.#wire.nameOf(life.id)}@${life.life} is done`);
        }
    }
    return ghost;
  }

  #event(ids: StoreIds, space: Space, epoch: bigint, key: string, step: Step): BlockEvent | undefined {
    if (step.event) return eventFromBytes(step.event);
    const path = `${space.text} ${epoch} ${key}`;
    const item = this.#parts.table<BarrierItem>(ids, `barriers ${path}`).get(path);
    return item && eventFromBytes(item.event);
  }

  #chunks(ids: StoreIds, space: Space, root: Root): (Chunk | undefined)[] {
    const table = this.#parts.table<Chunk>(ids, "chunks");
    return root.pointers.map((pointer) => table.get(`${space.text} ${pointer.name}`));
  }
}

function inEpoch(name: string, epoch: bigint): string {
  return `${name} in ${epoch}`;
}

/** The space that an operation is about. */
function spaceIn({ args: [first] }: Request): Space {
  return (first as { readonly space?: Space }).space ?? (first as Space);
}

/** The steps that one write may take; `waiting` to `passing`: somebody is past it (protocol.md M15). */
const FOLLOWS: Readonly<Record<Phase, readonly Phase[]>> = {
  waiting: ["waiting", "writing", "written", "passing"],
  writing: ["writing", "written", "passing"],
  written: ["written", "passing", "closed"],
  passing: ["passing", "closed"],
  closed: ["closed"],
};
