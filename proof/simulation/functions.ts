import type {
  ActionMessage,
  DeadLetter,
  Port,
  RootResult,
  SendResult,
} from "../../src/maintainer/base/port.ts";
import { run } from "../../src/maintainer/base/program.ts";
import { SLICE_TYPE, type Slice, sliceText } from "../../src/maintainer/base/slice.ts";
import type { Space } from "../../src/maintainer/base/space.ts";
import { handleBatch, type Memory, newMemory } from "../../src/maintainer/batch.ts";
import { evict } from "../../src/maintainer/operator/evict.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/maintainer/session/session.ts";
import { sweep } from "../../src/maintainer/sweep.ts";
import { ItemTooLarge } from "../../src/storage/dynamodb/too-large.ts";
import type { MemoryStore } from "../../src/storage/memory.ts";
import { type DeadQueue, isUnmended, REDRIVER } from "./dead-queue.ts";
import { ACTION_PREFIX, ROLE, STATUS_QUEUE } from "./fixed.ts";
import { type Ground, Process, type Wrongness } from "./process.ts";
import type { Queues, Stored } from "./queues.ts";
import type { Untold } from "./untold.ts";

const BATCH = 10;
/** As deployed: a function ends after 20 s, its messages come again after 120 s (cdk/construct.ts). */
const TIMEOUT = 20_000;
const VISIBILITY = 120_000;
const SWEEP_EVERY = 60_000;
/** Minutes from one collection to the next: fewer than as deployed, for a run has few in which something happens. */
const COLLECT_EVERY = 3;
/** As deployed: what was received so often goes to the dead-letter queue. */
export const MAX_RECEIVES = 20;
/** A message that comes so often is done with, whatever could not be sent (decisions/0032). */
export const OFTEN = 3;

/** How an invocation ended. */
export interface Outcome {
  /** What it could not send. */
  readonly untold: Untold;
  /** Its messages that come again. */
  readonly again: readonly Stored[];
  /** None of its messages comes again, and none has come often. */
  readonly forGood: boolean;
  /** Keys of barriers for which the root had no room: who reported is told nothing, and reports again. */
  readonly full: ReadonlySet<string>;
  /** Bodies of messages that an operator brought back as they were, and that are dead letters again: the operator mends them. */
  readonly aside: ReadonlySet<string>;
}

/** What happens at the functions, for those who watch. */
export interface FunctionWatcher {
  started(invocation: string, messages: readonly Stored[]): void;
  /** An operation took effect. */
  did(invocation: string, method: string, args: readonly unknown[], result: unknown): void;
  ended(invocation: string, how: string): void;
  /** A batch must never throw: what fails is named message by message. */
  threw(invocation: string, error: Error): void;
  /** An item would have become larger than one may be: that is to be refused before it is written (docs/bounds.md). */
  tooLarge(invocation: string, error: Error): void;
  sent(invocation: string, message: ActionMessage): void;
  /** A status message is gone for good. */
  handled(invocation: string, message: Stored, outcome: Outcome): void;
  /** Nothing is under way, and no message waits to come again. */
  quiet(): void;
  deadLetter(reason: string, letter: Pick<DeadLetter, "body" | "attributes">): void;
}

interface Environment {
  readonly name: string;
  readonly wrong: Wrongness;
  memory: Memory;
}

/** Everything that happens to one invocation, decided before it begins. */
interface Fate {
  /** Ends at this operation; -1: never. */
  readonly crashAt: number;
  readonly freezeAt: number;
  readonly freezeFor: number;
}

/** The functions and the event source that drives them: environments side by side, each with a memory and a clock. */
export class Functions {
  readonly settings: Settings;
  readonly #ground: Ground;
  readonly #store: MemoryStore;
  readonly #queues: Queues;
  readonly #watcher: FunctionWatcher;
  readonly #wrong: () => Wrongness;
  readonly #dead: DeadQueue;
  readonly #maxReceives: number;
  #born = 0;
  #generation = 0;
  #invocations = 0;
  /** Invocations whose event source has not given up on them. */
  running = 0;
  requests = 0;
  /** How often a barrier was not opened because the root had no room for it. */
  fullRoots = 0;
  stopped = false;

  constructor(
    ground: Ground,
    store: MemoryStore,
    queues: Queues,
    watcher: FunctionWatcher,
    concurrency: number,
    wrong: () => Wrongness,
    sendsAtOnce: number,
    itemBytes: number,
    dead: DeadQueue,
    maxReceives: number,
  ) {
    this.#dead = dead;
    this.#maxReceives = maxReceives;
    const redrivers = [ROLE, REDRIVER];
    const sizes = { sendsAtOnce, itemBytes, collectEvery: COLLECT_EVERY };
    this.settings = { ...DEFAULT_SETTINGS, ...sizes, actionQueuePrefix: ACTION_PREFIX, redrivers };
    this.#ground = ground;
    this.#store = store;
    this.#queues = queues;
    this.#watcher = watcher;
    this.#wrong = wrong;
    queues.create(STATUS_QUEUE);
    for (let count = 0; count < concurrency; count++) void this.#poll(this.#newEnvironment());
    void this.#sweepForever();
  }

  /** Environments that have not been used for days are not there any more. */
  recycle(): void {
    this.#generation++;
  }

  #newEnvironment(): Environment {
    return { name: `e${++this.#born}`, wrong: this.#wrong(), memory: newMemory() };
  }

  /** One of the event source's pollers: receives a batch, invokes, deletes what succeeded. */
  async #poll(first: Environment): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    let environment = first;
    let generation = 0;
    while (!this.stopped) {
      await this.#queues.visible(STATUS_QUEUE, 20_000);
      await timeline.sleep(dice.between(1, 15));
      const messages = this.#queues.take(STATUS_QUEUE, 1 + dice.below(BATCH), VISIBILITY);
      const good = messages.filter((message) => message.receives <= this.#maxReceives);
      for (const message of messages)
        if (message.receives > this.#maxReceives) {
          this.#queues.delete(STATUS_QUEUE, message.receipt);
          faults.happens("redrive", 1);
          if (this.#maxReceives < MAX_RECEIVES) this.#dead.bury(message);
          else this.#watcher.deadLetter(`received ${this.#maxReceives} times`, message);
        }
      if (good.length === 0) continue;
      if (generation < this.#generation) environment = this.#newEnvironment();
      generation = this.#generation;
      this.running++;
      const lives = await this.#invoke(environment, good);
      this.running--;
      if (this.running === 0 && !this.#queues.isOwed(STATUS_QUEUE) && !this.#dead.holds)
        this.#watcher.quiet();
      if (!lives) environment = this.#newEnvironment();
    }
  }

  /** @returns whether the environment can be used again */
  async #invoke(environment: Environment, messages: readonly Stored[]): Promise<boolean> {
    const { timeline, dice } = this.#ground;
    const name = `${environment.name}.${++this.#invocations}`;
    const process = new Process(this.#ground, environment.wrong);
    this.#watcher.started(name, messages);
    const batch = messages.map((message) => ({
      messageId: message.id,
      body: message.body,
      attributes: message.attributes,
      sentAt: message.timestamp,
      receiveCount: message.receives,
      principal: message.principal,
    }));
    const outcome = Promise.withResolvers<boolean>();
    const fate = this.#fate();
    const port = this.#port(name, process, fate, () => outcome.resolve(false));
    const invocation = {
      now: process.now(),
      nonce: name,
      settings: this.settings,
      memory: environment.memory,
    };
    // A function that takes too long is ended; one that is frozen wakes all the same, when nobody waits for it any more.
    const cancel = timeline.after(TIMEOUT, () => {
      if (fate.freezeAt < 0) process.end();
      outcome.resolve(false);
    });
    const handled = run(handleBatch(batch, invocation), port);
    handled.catch((error: Error) => this.#watcher.threw(name, error));
    void handled.then(
      async (result) => {
        await timeline.sleep(dice.between(1, 10));
        const full = new Set(
          result.observer.seen.flatMap((one) => (one.what === "root-full" ? [one.key!] : [])),
        );
        this.fullRoots += full.size;
        const failed = new Set(result.failed.map((one) => one.messageId));
        this.#watcher.ended(name, failed.size > 0 ? `failed ${result.failed[0]!.reason}` : "done");
        const forGood = failed.size === 0 && messages.every((message) => message.receives < OFTEN);
        const again = messages.filter((message) => failed.has(message.id));
        const { untold, aside } = process;
        for (const message of messages)
          if (!failed.has(message.id)) {
            const gone = this.#queues.delete(STATUS_QUEUE, message.receipt);
            if (gone) this.#watcher.handled(name, gone, { untold, again, forGood, full, aside });
          }
        outcome.resolve(true);
      },
      () => undefined,
    );
    const lives = await outcome.promise;
    cancel();
    return lives;
  }

  /** An operator takes out a node that is lost (`weir evict --node`), again until that is done. */
  async evict(space: Space, node: string): Promise<void> {
    this.running++;
    try {
      await this.#evictAgain(space, node);
    } finally {
      this.running--;
    }
  }

  async #evictAgain(space: Space, node: string): Promise<void> {
    for (;;) {
      const process = new Process(this.#ground, this.#wrong());
      const name = `evict.${++this.#invocations}`;
      const never = { crashAt: -1, freezeAt: -1, freezeFor: 0 };
      const port = this.#port(name, process, never, () => undefined);
      const { settings } = this;
      this.#watcher.started(name, []);
      const invocation = { now: process.now(), nonce: name, settings, memory: newMemory() };
      try {
        const { lives } = await run(evict(space, { node }, invocation), port);
        this.#watcher.ended(name, `took ${lives.length} dispatchers of ${node} out`);
        return;
      } catch (error) {
        this.#watcher.ended(name, `failed ${(error as Error).message}`);
        await this.#ground.timeline.sleep(1_000);
      }
    }
  }

  async #sweepForever(): Promise<void> {
    const { timeline } = this.#ground;
    for (;;) {
      await timeline.sleep(SWEEP_EVERY);
      if (this.stopped) return;
      const process = new Process(this.#ground, this.#wrong());
      const name = `sweep.${++this.#invocations}`;
      this.#watcher.started(name, []);
      const invocation = {
        now: process.now(),
        nonce: name,
        settings: this.settings,
        memory: newMemory(),
      };
      const port = this.#port(name, process, this.#fate(), () => undefined);
      void run(sweep(invocation), port).then(
        ({ failed }) => this.#watcher.ended(name, failed.length > 0 ? `failed ${failed[0]!.reason}` : "done"),
        (error: Error) => this.#watcher.ended(name, `failed ${error.message}`),
      );
    }
  }

  #fate(): Fate {
    const { faults, dice } = this.#ground;
    const at = dice.below(14);
    return {
      crashAt: faults.happens("crash", 0.03) ? at : -1,
      freezeAt: faults.happens("freeze", 0.012) ? dice.below(14) : -1,
      freezeFor: dice.between(VISIBILITY, 3 * VISIBILITY),
    };
  }

  /** The port of one invocation: every operation takes time, and goes wrong in its way. */
  #port(name: string, process: Process, fate: Fate, crashed: () => void): Port {
    const { timeline, faults, dice } = this.#ground;
    let operations = 0;
    const operation = async <T>(
      method: string,
      args: readonly unknown[],
      effect: () => T | Promise<T>,
      idempotent: boolean,
    ): Promise<T> => {
      const index = operations++;
      this.requests++;
      if (index === fate.freezeAt) {
        this.#watcher.ended(name, `frozen before ${method}`);
        await timeline.sleep(fate.freezeFor);
        this.#watcher.ended(name, `awake at ${method}`);
      }
      // From some ms to some seconds: how long a race is open.
      if (faults.happens("slow", 0.02)) await timeline.sleep(5 * 1_000 ** dice.next());
      if (index === fate.crashAt) {
        // Before the operation, or with the operation under way.
        const under = dice.chance(0.5);
        this.#watcher.ended(name, `crashed ${under ? "in" : "before"} ${method}`);
        if (under) void process.request(4, () => effectNoted(), false);
        process.end();
        crashed();
        return new Promise<never>(() => undefined);
      }
      const effectNoted = async () => {
        let result = await Promise.resolve(effect()).catch((error: unknown) => {
          if (error instanceof ItemTooLarge) this.#watcher.tooLarge(name, error);
          throw error;
        });
        // The client has asked again because no answer came: the second answer is what the program sees. The adapter knows
        // its own write of the root (storage/dynamodb/rootitem.ts).
        if (idempotent && faults.happens("again", 0.004)) {
          const second = await effect();
          if (!(method === "commitRoot" && (result as RootResult).committed)) result = second;
        }
        this.#watcher.did(name, method, args, result);
        return result;
      };
      return process.request(4, effectNoted) as Promise<T>;
    };
    const port = {
      send: (messages: readonly ActionMessage[]) =>
        operation(
          "send",
          [messages],
          () => {
            const results = messages.map((message) => this.#send(name, message));
            for (const [index, message] of messages.entries())
              if (results[index] === "failed") process.untold.failed(message);
              else process.untold.sent(message);
            return results;
          },
          false,
        ),
      handOver: (slices: readonly Slice[]) =>
        this.#handingOver(slices, process, (work) => operation("handOver", [slices], work, false)),
      deadLetter: (letter: DeadLetter) =>
        operation(
          "deadLetter",
          [],
          () => {
            if (isUnmended(letter)) process.aside.add(letter.body);
            this.#watcher.deadLetter(letter.reason, letter);
          },
          false,
        ),
      pause: (attempt: number) => timeline.sleep(dice.next() * Math.min(1_000, 5 * 2 ** attempt)),
    };
    return new Proxy(port as unknown as Port, {
      get: (target, method: keyof Port) => {
        if (method in target) return target[method];
        const member = this.#store[method as keyof MemoryStore] as (...args: unknown[]) => Promise<unknown>;
        return (...args: unknown[]) => operation(method, args, () => member.apply(this.#store, args), true);
      },
    });
  }

  /** Some may be in the queue when others are refused, or when the answer is lost: those are told by others. */
  async #handingOver(
    slices: readonly Slice[],
    { untold }: Process,
    operation: (work: () => void) => Promise<void>,
  ): Promise<void> {
    const left = new Set(slices);
    try {
      await operation(() => {
        for (const slice of slices) {
          if (this.#ground.faults.happens("refuse", 0.01)) throw new Error("a slice was refused");
          this.#queues.put(STATUS_QUEUE, sliceText(slice), { type: SLICE_TYPE, encoding: "json" }, ROLE);
          untold.handedOver(slice);
          left.delete(slice);
        }
      });
    } catch (error) {
      untold.notHandedOver([...left]);
      throw error;
    }
  }

  #send(name: string, message: ActionMessage): SendResult {
    if (this.#ground.faults.happens("refuse", 0.004)) return "failed";
    if (this.#queues.find(message.queue) === undefined) return "no-such-queue";
    const attributes = { type: message.type, encoding: message.encoding };
    this.#queues.put(message.queue, message.body, attributes, ROLE);
    this.#watcher.sent(name, message);
    return this.#ground.faults.happens("lost", 0.004) ? "failed" : "sent";
  }
}
