/** A capture node whose coordinator, sinks and clock are the test's: real messages on queues in memory. */
import { create } from "@bufbuild/protobuf";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import { CHANGEFEED, d, PREFIX } from "../../maintainer/testing/world.ts";
import { decode, encode } from "../../protocol/codec.ts";
import type { EventKey } from "../../protocol/event-key.ts";
import {
  Action,
  BlockStage,
  ChangefeedIDSchema,
  DoneAction,
  HeartBeatResponseSchema,
  InfluenceType,
} from "../../protocol/messages.ts";
import type { DispatcherConfig } from "../config.ts";
import type { Dispatcher } from "../hosted.ts";
import { CaptureNode } from "../node.ts";
import type { CaptureNodeOptions } from "../options.ts";
import type { Clock } from "../ports.ts";
import type { Sink } from "../sink.ts";
import { MemoryQueues } from "./doubles.ts";

const changefeedId = create(ChangefeedIDSchema, CHANGEFEED);

/** Stands still until it is told to go on. */
export class ManualClock implements Clock {
  #now = 1_700_000_000_000;
  #timers: { at: number; readonly work: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, work: () => void): () => void {
    const timer = { at: this.#now + ms, work };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter((one) => one.at <= this.#now);
    this.#timers = this.#timers.filter((one) => one.at > this.#now);
    for (const one of due.sort((a, b) => a.at - b.at)) one.work();
  }

  /** The time of day is set; timers run as they did. */
  set(by: number): void {
    this.#now += by;
    for (const one of this.#timers) one.at += by;
  }
}

export class Capture {
  readonly queues = new MemoryQueues();
  readonly clock = new ManualClock();
  readonly node: CaptureNode;
  /** What sinks were asked for, in order: `d10 flush`, `d10 write`, `d10 pass`, `d10 rows`. */
  readonly calls: string[] = [];
  readonly errors: string[] = [];
  /** Calls that do not come back before `let` is called for them. */
  readonly #held = new Map<string, PromiseWithResolvers<void>>();
  readonly #queue: string;
  #epoch: bigint;

  private constructor(options: Partial<CaptureNodeOptions>) {
    this.#epoch = options.epoch ?? 1n;
    this.#queue = `${PREFIX}n1${options.mode === "redo" ? "-redo" : ""}`;
    this.node = new CaptureNode({
      id: "n1",
      changefeed: CHANGEFEED,
      queues: this.queues,
      clock: this.clock,
      statusQueueUrl: "status",
      actionQueuePrefix: PREFIX,
      onError: (error) => this.errors.push(String(error)),
      ...options,
    });
  }

  static async start(options: Partial<CaptureNodeOptions> = {}): Promise<Capture> {
    const capture = new Capture(options);
    await capture.node.start();
    return capture;
  }

  /** Stops the node; what hangs is given up at once. */
  async stop(): Promise<void> {
    let stopped = false;
    const stopping = this.node.stop({ limitMs: 0 }).finally(() => {
      stopped = true;
    });
    while (!stopped) await this.settle();
    await stopping;
  }

  hold(call: string): void {
    this.#held.set(call, Promise.withResolvers());
  }

  let(call: string): void {
    this.#held.get(call)?.resolve();
    this.#held.delete(call);
  }

  fail(call: string): void {
    this.#held.get(call)?.reject(new Error(`${call} failed`));
    this.#held.delete(call);
  }

  #sink(name: string): Sink {
    const called = (what: string) => async () => {
      this.calls.push(`${name} ${what}`);
      await this.#held.get(`${name} ${what}`)?.promise;
    };
    return {
      write: called("rows"),
      flushBeforeBlock: called("flush"),
      writeBlockEvent: called("write"),
      passBlockEvent: called("pass"),
    };
  }

  /** Creates a dispatcher and has it accepted; `number` is its id, and its table's unless told otherwise. */
  async dispatcher(number: number, more: Partial<DispatcherConfig> = {}): Promise<Dispatcher> {
    const created = this.node.createDispatcher({
      id: d(number),
      tableId: BigInt(number),
      schemaId: 1n,
      checkpointTs: 1n,
      sink: this.#sink(`d${number}`),
      ...more,
    });
    await this.accept();
    return created;
  }

  /** Accepts what is registered next. */
  async accept(): Promise<void> {
    const registered = await this.until(() => {
      const all = this.#registrations();
      return all.length > 0 && all;
    });
    this.queues.take("status");
    for (const { spans, maintainerEpoch } of registered) {
      this.#epoch = maintainerEpoch;
      await this.#accepted(
        maintainerEpoch,
        spans.map(({ ID, life }) => ({ id: ID!, life })),
      );
    }
  }

  /** Accepts a dispatcher in an epoch, whether it has registered there or not. */
  answerRegistration(epoch: bigint, { config, life }: Dispatcher): Promise<void> {
    return this.#accepted(epoch, [{ id: dispatcherId(config.id), life }]);
  }

  async #accepted(
    epoch: bigint,
    lives: readonly { id: { high: bigint; low: bigint }; life: bigint }[],
  ): Promise<void> {
    const accepted = lives.map(({ id: { high, low }, life }) => ({
      id: { high: String(high), low: String(low) },
      life: String(life),
    }));
    const body = JSON.stringify({ accepted, refused: [], maintainerEpoch: String(epoch) });
    await this.#answer("RegistrationResult", body);
    await this.settle();
  }

  /** The block states of what is registered at present, by dispatcher. */
  registered() {
    return this.#registrations().flatMap(({ spans }) => spans);
  }

  #registrations() {
    return this.#sent("MaintainerBootstrapResponse")
      .map((message) => decode("MaintainerBootstrapResponse", "json", message.body))
      .filter(({ spans }) => spans.length > 0);
  }

  /** Sends an answer to dispatchers by id, or by influence. */
  async respond(
    key: EventKey,
    what: "ack" | "ignored" | "write" | "pass" | number,
    to: readonly Dispatcher[] | { readonly schema: bigint } | "everybody",
  ): Promise<void> {
    const about = { CommitTs: key.commitTs, IsSyncPoint: key.isSyncPoint };
    const byId = Array.isArray(to) ? (to as readonly Dispatcher[]) : undefined;
    const action = what === "write" ? Action.Write : what === "pass" ? Action.Pass : what;
    const response = create(HeartBeatResponseSchema, {
      changefeedID: changefeedId,
      maintainerEpoch: this.#epoch,
      mode: this.node.options.mode === "redo" ? 1n : 0n,
      dispatcherStatuses: [
        {
          influencedDispatchers: byId
            ? {
                InfluenceType: InfluenceType.Normal,
                DispatcherIDs: byId.map((one) => dispatcherId(one.config.id)),
              }
            : typeof to === "object" && "schema" in to
              ? { InfluenceType: InfluenceType.DB, SchemaID: to.schema }
              : { InfluenceType: InfluenceType.All },
          ...(byId && { lives: byId.map((one) => one.life) }),
          ...(what === "ack" && { ack: about }),
          ...(what === "ignored" && { ignoredBlockStatus: about }),
          ...(typeof action === "number" && { action: { action: action as Action, ...about } }),
        },
      ],
    });
    await this.#answer("HeartBeatResponse", encode("HeartBeatResponse", "json", response));
    await this.settle();
  }

  #answer(type: string, body: string): Promise<void> {
    return this.queues.send(this.#queue, { body, attributes: { type, encoding: "json" } });
  }

  #sent(type: string) {
    return this.queues.waiting("status").filter((message) => message.attributes["type"] === type);
  }

  /** The block status requests that were sent and not taken. */
  requests() {
    return this.#sent("BlockStatusRequest").map((message) =>
      decode("BlockStatusRequest", "json", message.body),
    );
  }

  /** What was reported: `waiting 100s 1,10`, `none 90 1`, `write-done 100 1`. Takes it. */
  reports(): string[] {
    const lines = this.requests().flatMap(({ blockStatuses }) =>
      blockStatuses.map(({ ID, dispatcherIDs, state }) => {
        const ids = dispatcherIDs.length > 0 ? dispatcherIDs : [ID!];
        const { stage, doneAction, BlockTs, IsSyncPoint } = state!;
        const kind =
          stage === BlockStage.WAITING
            ? "waiting"
            : stage === BlockStage.NONE
              ? "none"
              : doneAction === DoneAction.WRITE_DONE
                ? "write-done"
                : "pass-done";
        return `${kind} ${BlockTs}${IsSyncPoint ? "s" : ""} ${ids.map((id) => id.low).join(",")}`;
      }),
    );
    this.queues.take("status");
    return lines;
  }

  /** Answers that the node has not deleted. */
  get answersLeft(): number {
    return this.queues.waiting(this.#queue).length;
  }

  /** Lets everything happen that needs no more than some ms; far less than a repeat. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 40; turn++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.clock.advance(1);
    }
  }

  async until<T>(what: () => T | undefined | false): Promise<T> {
    for (let tries = 0; tries < 100; tries++) {
      const found = what();
      if (found !== undefined && found !== false) return found;
      await this.settle();
    }
    throw new Error("it did not happen");
  }
}
