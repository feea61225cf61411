import type { Program, Request } from "../../src/maintainer/base/program.ts";
import type { Space } from "../../src/maintainer/base/space.ts";
import { handleBatch, type Memory, newMemory } from "../../src/maintainer/batch.ts";
import type { StatusMessage } from "../../src/maintainer/intake/input.ts";
import type { Settings } from "../../src/maintainer/session/session.ts";
import { sweep } from "../../src/maintainer/sweep.ts";
import { canonical } from "../../src/storage/canonical.ts";
import { Execution, type Outcome } from "./execution.ts";
import { Interner } from "./intern.ts";
import { type Answer, noncesIn } from "./store-parts.ts";

/** Everything that an invocation begins with; what comes of it depends on that and on the results of its operations. */
export interface Start {
  readonly work: "batch" | "sweep";
  /** Interned messages, those delivered before with `receiveCount` 2. */
  readonly messages: readonly StatusMessage[];
  /** The number of what its environment remembers. */
  readonly memory: number;
  readonly nonce: string;
  readonly settings: Settings;
}

export interface Ended {
  /** Messages that come again, by `messageId`, and for a sweep what it says has failed. */
  readonly failed: readonly {
    readonly messageId?: string;
    readonly space?: string;
    readonly reason: string;
  }[];
  readonly memory: number;
  /** It threw, which it never may. */
  readonly threw: string | undefined;
}

export interface WantedOperation {
  readonly request: Request;
  readonly id: number;
}

/** An invocation between two of its operations. Equal beginnings with equal results are the same flight. */
export interface Flight {
  readonly id: number;
  readonly start: Start;
  readonly startId: number;
  readonly before: Flight | undefined;
  readonly choice: number;
  readonly outcome: Outcome | undefined;
  readonly operations: readonly WantedOperation[];
  readonly ended: Ended | undefined;
  /** Nonces of all chunk names that it has seen or may give. */
  readonly nonces: readonly string[];
  /** An operation's answer was lost on the way: from then on it may say that it failed. */
  readonly hurt: boolean;
  readonly next: Map<string, Flight>;
}

const NOW = 1_700_000_000_000;
/** Positions of programs that are kept, so that the next step need not run them from the start. */
const KEPT_EXECUTIONS = 3_000;

/** All flights that were met, as a tree: a program is run only for a step that nobody has taken before. */
export class Invocations {
  readonly memories = new Interner<Memory>();
  readonly #requests = new Interner<Request>();
  readonly #starts = new Map<string, Flight>();
  readonly #flights: Flight[] = [];
  readonly #live = new Map<number, Execution>();
  readonly #silent: (request: Request) => Outcome | undefined;
  readonly #noncesOfMemory = new Map<number, readonly string[]>();
  /** What an environment remembers that has just come up. */
  readonly nothing: number;

  constructor(spaces: readonly Space[]) {
    this.nothing = this.memories.id(newMemory());
    this.#silent = (request) => {
      // Waiting is no step: others may go first at any time. Spaces are known to the sweeper from the start.
      if (request.method === "pause" || request.method === "registerSpace") return { value: undefined };
      if (request.method === "readRegistry")
        return {
          value: { entries: spaces.map((space) => ({ space, token: "", retired: false })), from: "" },
        };
      return undefined;
    };
  }

  get(id: number): Flight {
    return this.#flights[id - 1]!;
  }

  get size(): number {
    return this.#flights.length;
  }

  begin(start: Start): Flight {
    const messages = start.messages.map((one) => `${one.messageId}/${one.receiveCount}`).join();
    const { repeatAfter } = start.settings;
    const name = `${start.work} ${messages} ${start.memory} ${start.nonce} ${repeatAfter}`;
    const known = this.#starts.get(name);
    if (known) return known;
    const execution = this.#execute(start);
    const flight = this.#add(start, this.#starts.size, execution, undefined, 0, undefined, [
      start.nonce,
      ...this.noncesOfMemory(start.memory),
    ]);
    this.#starts.set(name, flight);
    return flight;
  }

  /** The flight after its `choice`-th operation gave this answer; undefined: the answer was lost. */
  step(flight: Flight, choice: number, answer: Answer | undefined): Flight {
    const name = `${choice} ${answer?.id ?? "lost"}`;
    const known = flight.next.get(name);
    if (known) return known;
    const outcome: Outcome = answer ? { value: answer.value } : { error: new Error("no answer came") };
    const execution = this.#live.get(flight.id) ?? this.#again(flight);
    this.#live.delete(flight.id);
    execution.answer(choice, outcome);
    const nonces = answer ? noncesIn(canonical(answer.value)) : [];
    const next = this.#add(flight.start, flight.startId, execution, flight, choice, outcome, nonces);
    flight.next.set(name, next);
    return next;
  }

  noncesOfMemory(id: number): readonly string[] {
    let found = this.#noncesOfMemory.get(id);
    if (found === undefined) {
      found = noncesIn(canonical(this.memories.value(id)));
      this.#noncesOfMemory.set(id, found);
    }
    return found;
  }

  #add(
    start: Start,
    startId: number,
    execution: Execution & { memory?: Memory },
    before: Flight | undefined,
    choice: number,
    outcome: Outcome | undefined,
    nonces: readonly string[],
  ): Flight {
    const { result } = execution;
    const flight: Flight = {
      id: this.#flights.length + 1,
      start,
      startId,
      before,
      choice,
      outcome,
      operations: execution.requests.map((request) => ({ request, id: this.#requests.id(request) })),
      ended: result && this.#ended(result, execution.memory!),
      nonces: [...new Set([...(before?.nonces ?? []), ...nonces])],
      hurt: (before?.hurt ?? false) || (outcome !== undefined && "error" in outcome),
      next: new Map(),
    };
    this.#flights.push(flight);
    if (!result) this.#keep(flight.id, execution);
    return flight;
  }

  #ended(result: Outcome, memory: Memory): Ended {
    const id = this.memories.id(memory);
    if ("error" in result)
      return { failed: [], memory: id, threw: result.error.stack ?? String(result.error) };
    const { failed } = result.value as Pick<Ended, "failed">;
    return { failed, memory: id, threw: undefined };
  }

  #keep(id: number, execution: Execution): void {
    this.#live.set(id, execution);
    if (this.#live.size <= KEPT_EXECUTIONS) return;
    const [oldest] = this.#live.keys();
    this.#live.delete(oldest!);
  }

  #execute({ work, messages, memory, nonce, settings }: Start): Execution & { memory?: Memory } {
    const own = copied(this.memories.value(memory));
    const invocation = { now: NOW, nonce, settings, memory: own };
    const program: Program<unknown> =
      work === "batch" ? handleBatch(messages, invocation) : sweep(invocation);
    return Object.assign(new Execution(program, this.#silent), { memory: own });
  }

  /** Runs a program from its start to where a flight is, with the results that it got then. */
  #again(flight: Flight): Execution {
    const path: Flight[] = [];
    for (let at: Flight | undefined = flight; at?.before; at = at.before) path.push(at);
    const execution = this.#execute(flight.start);
    for (const { choice, outcome } of path.reverse()) execution.answer(choice, outcome!);
    return execution;
  }
}

/** A copy that can be changed: maps, sets, lists and objects anew; what is frozen or of a class of its own is shared. */
export function copied<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, copied(one)])) as T;
  if (value instanceof Set) return new Set(value) as T;
  if (Array.isArray(value)) return value.map(copied) as T;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, copied(one)])) as T;
}
