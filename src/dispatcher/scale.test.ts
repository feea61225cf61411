/** Thousands of dispatchers on one node: what is done for them grows as they do, counted and not timed. */
import { afterEach, describe, expect, it } from "vitest";
import { dispatcherKey } from "../barrier/dispatcher-id.ts";
import { d } from "../maintainer/testing/world.ts";
import { decode } from "../protocol/codec.ts";
import { BlockStage, ComponentState } from "../protocol/messages.ts";
import type { DispatcherConfig } from "./config.ts";
import { Mailbox } from "./mailbox.ts";
import type { ReceivedMessage } from "./ports.ts";
import { Capture, ManualClock } from "./testing/capture.ts";
import { MemoryQueues } from "./testing/doubles.ts";

const nothing = async () => undefined;
const sink = { write: nothing, flushBeforeBlock: nothing, writeBlockEvent: nothing, passBlockEvent: nothing };
const config = (number: number): DispatcherConfig => ({
  id: d(number),
  tableId: BigInt(number),
  schemaId: 1n,
  checkpointTs: 1n,
  sink,
});

let capture: Capture;
afterEach(() => capture.stop());

/** A coordinator that answers each registration so many ms after it came. */
class Answering {
  messages = 0;
  bytes = 0;
  readonly spans: string[] = [];
  readonly #ms: number;
  readonly #epoch: bigint;

  constructor(ms: number, epoch = 1n) {
    this.#ms = ms;
    this.#epoch = epoch;
  }

  /** Takes what has come, and leaves what is no registration. */
  take(): void {
    for (const message of capture.queues.take("status")) {
      const { attributes, body } = message;
      if (attributes["type"] !== "MaintainerBootstrapResponse") {
        void capture.queues.send("status", message);
        continue;
      }
      this.bytes += body.length;
      const { spans } = decode("MaintainerBootstrapResponse", "json", body);
      if (spans.length === 0) continue;
      this.messages++;
      const accepted = spans.map(({ ID, life }) => ({
        id: { high: String(ID!.high), low: String(ID!.low) },
        life: String(life),
      }));
      for (const { ID } of spans) this.spans.push(dispatcherKey(ID!));
      const answer = JSON.stringify({ accepted, refused: [], maintainerEpoch: `${this.#epoch}` });
      capture.clock.after(this.#ms, () => {
        const message = { body: answer, attributes: { type: "RegistrationResult" } };
        void capture.queues.send("weir-action-n1", message);
      });
    }
  }
}

/** A millisecond, with all that happens in it. */
async function millisecond(coordinator?: Answering): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  coordinator?.take();
  capture.clock.advance(1);
}

describe("registrations", () => {
  /** Dispatchers come ten at a time, as a poll brings them, one poll each 5 ms. */
  async function comeInTens(count: number, answerMs: number) {
    capture = await Capture.start();
    const coordinator = new Answering(answerMs);
    const created: Promise<unknown>[] = [];
    let accepted = 0;
    for (let at = 0; accepted < count; at++) {
      if (at % 5 === 0 && created.length < count)
        for (let one = 0; one < 10; one++)
          created.push(capture.node.createDispatcher(config(created.length + 10)).then(() => accepted++));
      await millisecond(coordinator);
    }
    return coordinator;
  }

  it("go out once each, in few messages, while the answers of others are on their way", async () => {
    const { messages, spans } = await comeInTens(600, 60);
    expect(spans).toHaveLength(600);
    expect(new Set(spans).size).toBe(600);
    // In 300 ms there is time for five answers.
    expect(messages).toBeLessThanOrEqual(8);
  });

  it("wait only so long for the answers of others", async () => {
    capture = await Capture.start();
    const silent = new Answering(1_000_000);
    const pending = [1, 2].map(async (number) => capture.node.createDispatcher(config(number)));
    for (let ms = 0; ms < 100; ms++) await millisecond(silent);
    expect(silent.spans).toHaveLength(2);
    pending.push(capture.node.createDispatcher(config(3)));
    for (let ms = 0; ms < 150; ms++) await millisecond(silent);
    // The first answer may be lost: 250 ms after it was asked for nobody waits for it.
    for (let ms = 0; ms < 110; ms++) await millisecond(silent);
    expect(silent.spans).toEqual([d(1), d(2), d(3)]);
    // And after five seconds all three are said again.
    for (let ms = 0; ms < 5_000; ms++) await millisecond(silent);
    expect(silent.spans.toSorted()).toEqual([d(1), d(1), d(2), d(2), d(3), d(3)]);
    for (const one of pending) one.catch(() => undefined);
  });
});

describe("a clock that is set back", () => {
  it("holds no registration up, new or repeated", async () => {
    const steady = new ManualClock();
    let back = 0;
    capture = await Capture.start({
      clock: { now: () => steady.now() - back, after: (ms, work) => steady.after(ms, work) },
    });
    const silent = new Answering(1_000_000);
    const pass = async (ms: number) => {
      for (let at = 0; at < ms; at++) {
        await millisecond(silent);
        steady.advance(1);
      }
    };
    const pending = [capture.node.createDispatcher(config(1))];
    await pass(20);
    back = 3_600_000;
    pending.push(capture.node.createDispatcher(config(2)));
    await pass(300);
    expect(silent.spans).toEqual([d(1), d(1), d(2)]);
    back += 3_600_000;
    await pass(5_500);
    expect(silent.spans).toHaveLength(5);
    for (const one of pending) one.catch(() => undefined);
    steady.advance(10_000);
  });
});

describe("removals", () => {
  it("of many at the same time go out in messages that are full, each once and in its own life", async () => {
    capture = await Capture.start();
    const created = Array.from({ length: 2_000 }, (_, index) =>
      capture.node.createDispatcher(config(index + 1)),
    );
    const coordinator = new Answering(1);
    for (let ms = 0; ms < 100; ms++) await millisecond(coordinator);
    const dispatchers = await Promise.all(created);
    capture.queues.take("status");
    const removals = dispatchers.map(({ config: { id } }) => capture.node.removeDispatcher(id));
    for (let ms = 0; ms < 20; ms++) await millisecond();
    await Promise.all(removals);
    const messages = capture.queues.take("status");
    const statuses = messages.flatMap(({ body }) => decode("HeartBeatRequest", "json", body).statuses);
    // Of 255 KiB with 160 bytes for each.
    expect(messages.length).toBeLessThanOrEqual(2);
    expect(statuses.every((one) => one.componentStatus === ComponentState.Removed)).toBe(true);
    expect(statuses.map(({ ID, life }) => [dispatcherKey(ID!), life])).toEqual(
      dispatchers.map(({ config: { id }, life }) => [id, life]),
    );
  });
});

describe("a queue that is full", () => {
  it("is polled by several at the same time, up to a number, and by one again when it is empty", async () => {
    capture = await Capture.start();
    const clock = new ManualClock();
    let [polling, most, polls] = [0, 0, 0];
    const left = Array.from({ length: 2_000 }, (_, one) => String(one));
    const queues = new (class extends MemoryQueues {
      override async receive(url: string, seconds: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
        polls++;
        most = Math.max(most, ++polling);
        // An answer takes 10 ms; a poll of an empty queue as long as it may.
        const { promise, resolve } = Promise.withResolvers<void>();
        signal.addEventListener("abort", () => resolve());
        clock.after(left.length > 0 ? 10 : seconds * 1_000, resolve);
        await promise;
        polling--;
        return left.splice(0, 10).map((body) => ({ body, attributes: {}, receipt: `${url} ${body}` }));
      }
    })();
    const handled: string[] = [];
    const mailbox = new Mailbox({
      url: "q",
      queues,
      clock,
      random: () => 0.5,
      pollSeconds: 20,
      wanted: () => true,
      handle: async ({ body }) => void handled.push(body),
      onGone: nothing,
      onError: (error) => expect.unreachable(String(error)),
    });
    mailbox.start();
    const pass = async (ms: number) => {
      for (let at = 0; at < ms; at++) {
        for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
        clock.advance(1);
      }
    };
    await pass(600);
    expect(new Set(handled).size).toBe(2_000);
    expect(handled).toHaveLength(2_000);
    expect(most).toBe(8);
    // Each brings ten; a few are begun in vain.
    expect(polls).toBeLessThanOrEqual(200 + 2 * 8);
    await pass(2_000);
    expect(polling).toBe(1);
    await mailbox.stop();
  });
});

describe("a higher epoch", () => {
  /** Bytes of what they say who wait at an event over all of them and follow into another epoch, and who is said to wait. */
  async function followed(count: number) {
    capture = await Capture.start();
    const coordinator = new Answering(1);
    const created = Array.from({ length: count }, (_, index) =>
      capture.node.createDispatcher(config(index + 1)),
    );
    for (let ms = 0; ms < 50; ms++) await millisecond(coordinator);
    const dispatchers = await Promise.all(created);
    const tableIds = Object.freeze(dispatchers.map(({ config: { tableId } }) => tableId));
    const key = { commitTs: 100n, isSyncPoint: false };
    const event = { key, blockTables: { type: "tables", tableIds }, payload: undefined } as const;
    for (const one of dispatchers) one.handle(event).catch(() => undefined);
    for (let ms = 0; ms < 50; ms++) await millisecond();
    capture.queues.take("status");
    void capture.node.follow(2n);
    const second = new Answering(1, 2n);
    for (let ms = 0; ms < 100; ms++) await millisecond(second);
    const requests = capture.queues
      .take("status")
      .map(({ body }) => decode("BlockStatusRequest", "json", body));
    const reported = requests.flatMap(({ blockStatuses }) => blockStatuses);
    return { dispatchers, registered: second.bytes, reported, spans: second.spans };
  }

  it("costs each who waits at an event over all of them some bytes, and not the lists of the event", async () => {
    const { dispatchers, registered, reported, spans } = await followed(400);
    expect(spans).toEqual(dispatchers.map(({ config: { id } }) => id));
    expect(registered / 400).toBeLessThan(400);
    // They say once where they wait, together.
    expect(reported).toHaveLength(1);
    const [{ state, dispatcherIDs, lives }] = reported as [(typeof reported)[number]];
    expect(state).toMatchObject({ stage: BlockStage.WAITING, BlockTs: 100n });
    expect(state!.BlockTables!.TableIDs).toHaveLength(400);
    expect(dispatcherIDs.map((id, index) => [dispatcherKey(id), lives[index]])).toEqual(
      dispatchers.map(({ config: { id }, life }) => [id, life]),
    );
  });

  it("is told with its event at once who waits at one with few tables", async () => {
    const { registered, reported } = await followed(20);
    expect(registered).toBeGreaterThan(20 * 100);
    expect(reported).toEqual([]);
  });
});

describe("messages in work", () => {
  it("are extended ten with a request, each twice before it would come again, and no more when they are done", async () => {
    capture = await Capture.start();
    const clock = new ManualClock();
    const queues = new MemoryQueues();
    await queues.createQueue("q");
    for (let one = 0; one < 205; one++) await queues.send("q", { body: String(one), attributes: {} });
    const working: PromiseWithResolvers<void>[] = [];
    const mailbox = new Mailbox({
      ...{ url: "q", queues, clock, random: () => 0.5, pollSeconds: 20, wanted: () => true },
      handle: async ({ body }) => {
        // Five are done at once: nobody extends them.
        if (Number(body) >= 200) return;
        const work = Promise.withResolvers<void>();
        working.push(work);
        await work.promise;
      },
      onGone: nothing,
      onError: (error) => expect.unreachable(String(error)),
    });
    mailbox.start();
    const pass = async (ms: number) => {
      for (let at = 0; at < ms; at += 100) {
        for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
        clock.advance(100);
      }
    };
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(working).toHaveLength(200);
    await pass(30_000);
    const receipts = queues.extensions.flat();
    expect(receipts).toHaveLength(400);
    expect(new Set(receipts).size).toBe(200);
    expect(queues.extensions).toHaveLength(40);
    for (const work of working) work.resolve();
    await pass(60_000);
    expect(queues.extensions).toHaveLength(40);
    expect(queues.waiting("q")).toEqual([]);
    await mailbox.stop();
  });
});
