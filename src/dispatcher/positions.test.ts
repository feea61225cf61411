/** What a node tells of how far its dispatchers are, about once a minute. */
import { afterEach, describe, expect, it } from "vitest";
import { dispatcherId } from "../barrier/dispatcher-id.ts";
import { d } from "../maintainer/testing/world.ts";
import { decode } from "../protocol/codec.ts";
import { ComponentState } from "../protocol/messages.ts";
import type { Dispatcher } from "./hosted.ts";
import { Capture } from "./testing/capture.ts";
import { everybody, normal } from "./testing/doubles.ts";

const MINUTE = 60_000;
const at = (commitTs: bigint, isSyncPoint = false) => ({ commitTs, isSyncPoint });
const view = (commitTs: bigint) => ({ key: at(commitTs), blockTables: everybody, payload: undefined });

let capture: Capture;
// At 0.5 the jitter is nothing.
const start = async (random = 0.5) => {
  capture = await Capture.start({ random: () => random });
  return capture;
};
afterEach(() => capture.stop());

/** What heartbeats say, message by message: `10 at 100`. Takes them. */
function told(): string[][] {
  const messages = capture.queues
    .take("status")
    .filter((one) => one.attributes["type"] === "HeartBeatRequest");
  return messages.map(({ body }) =>
    decode("HeartBeatRequest", "json", body).statuses.map(({ ID, life, checkpointTs, componentStatus }) => {
      const dispatcher = [...capture.node.dispatchers].find((one) => one.config.id === d(Number(ID!.low)));
      expect(componentStatus).toBe(ComponentState.Working);
      expect(life).toBe(dispatcher!.life);
      return `${dispatcherId(dispatcher!.config.id).low} at ${checkpointTs}`;
    }),
  );
}

async function minute(ms = MINUTE): Promise<void> {
  capture.queues.take("status");
  capture.clock.advance(ms);
  await capture.settle();
}

async function pass(commitTs: bigint, dispatchers: readonly Dispatcher[]): Promise<void> {
  const passed = dispatchers.map((one) => one.handle(view(commitTs)));
  await capture.settle();
  await capture.respond(at(commitTs), "pass", dispatchers);
  await Promise.all(passed);
}

describe("positions", () => {
  it("says nothing where nothing has changed, and what has changed once, in one message", async () => {
    await start();
    const both = [await capture.dispatcher(10), await capture.dispatcher(11)];
    await capture.dispatcher(12);
    await minute();
    await minute();
    expect(told()).toEqual([]);
    await pass(100n, both);
    await minute();
    expect(told()).toEqual([["10 at 100", "11 at 100"]]);
    await minute();
    expect(told()).toEqual([]);
  });

  it("tells what flush was told is durable", async () => {
    await start();
    const one = await capture.dispatcher(10);
    capture.hold("d10 flush");
    const flushed = one.flush(70n);
    await minute();
    expect(told()).toEqual([]);
    capture.let("d10 flush");
    await flushed;
    await minute();
    expect(told()).toEqual([["10 at 70"]]);
    await one.flush();
    await one.flush(60n);
    await minute();
    expect(told()).toEqual([]);
  });

  it("does not pass an event that adds tables before its ACK (D10)", async () => {
    await start();
    const trigger = await capture.dispatcher(0);
    const adds = { blockTables: normal(0n), needAddedTables: [{ tableId: 40n, schemaId: 1n }] };
    await trigger.handle({ key: at(90n), ...adds, payload: undefined });
    await trigger.flush(95n);
    await minute();
    expect(told()).toEqual([["0 at 89"]]);
    await capture.respond(at(90n), "ack", [trigger]);
    await minute();
    expect(told()).toEqual([["0 at 95"]]);
  });

  it("says nothing of who is not accepted, is removed, or does not replicate", async () => {
    await start();
    const [one, two, three] = [
      await capture.dispatcher(10),
      await capture.dispatcher(11),
      await capture.dispatcher(12),
    ];
    await pass(100n, [one, two, three]);
    const removed = capture.node.removeDispatcher(d(10));
    const prepared = capture.node.setState(two, "preparing");
    await capture.settle();
    await Promise.all([removed, prepared]);
    void capture.node.follow(2n);
    await capture.settle();
    await minute();
    expect(told()).toEqual([]);
    await capture.answerRegistration(2n, two);
    await capture.answerRegistration(2n, three);
    await minute();
    expect(told()).toEqual([["12 at 100"]]);
    const working = capture.node.setState(two, "working");
    await capture.settle();
    await working;
    await minute();
    expect(told()).toEqual([["11 at 100"]]);
  });

  it("waits until what it told is through, and is not together with others", async () => {
    await start(0);
    const one = await capture.dispatcher(10);
    await pass(100n, [one]);
    capture.queues.broken = "status";
    await minute(MINUTE * 0.75);
    await pass(200n, [one]).catch(() => undefined);
    await minute(MINUTE * 3);
    capture.queues.broken = undefined;
    await minute(1_000);
    expect(told()).toEqual([["10 at 100"]]);
    await minute(MINUTE * 0.75);
    expect(told()).toEqual([["10 at 200"]]);
  });

  it("tells many in messages that fit", async () => {
    await start();
    const sink = {
      write: async () => undefined,
      flushBeforeBlock: async () => undefined,
      writeBlockEvent: async () => undefined,
      passBlockEvent: async () => undefined,
    };
    const creating = Array.from({ length: 1_500 }, (_, index) =>
      capture.node.createDispatcher({
        id: d(1_000 + index),
        tableId: BigInt(1_000 + index),
        schemaId: 1n,
        checkpointTs: 1n,
        sink,
      }),
    );
    await capture.accept();
    const all = await Promise.all(creating);
    await Promise.all(all.map((one) => one.flush(9_000_000_000_000_000_000n)));
    await minute();
    const sizes = capture.queues.waiting("status").map(({ body }) => Buffer.byteLength(body));
    expect(Math.max(...sizes)).toBeLessThan(255 * 1024);
    expect(told().map((statuses) => statuses.length)).toEqual([1_000, 500]);
  });
});
