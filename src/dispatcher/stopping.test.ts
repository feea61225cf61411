/** What a node does when it is stopped, when a dispatcher is removed, and when its calls are misused. */
import { afterEach, describe, expect, it } from "vitest";
import { d, ddl } from "../maintainer/testing/world.ts";
import { decode } from "../protocol/codec.ts";
import {
  DispatcherClosed,
  EarlierFailed,
  MessageRefused,
  NodeStopped,
  OverlappingCall,
  UnsafeQueue,
} from "./errors.ts";
import { Capture } from "./testing/capture.ts";
import { everybody, normal } from "./testing/doubles.ts";

const K = ddl(100n);
const event = (key = K) => ({ key, blockTables: everybody, payload: undefined });

let capture: Capture;
const start = async () => {
  capture = await Capture.start();
  return capture;
};
afterEach(() => capture.stop());

/** Whether a promise has settled, after what needs no time. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let is = false;
  promise.then(
    () => {
      is = true;
    },
    () => {
      is = true;
    },
  );
  await capture.settle();
  return is;
}

/** A dispatcher whose sink executes Write and does not come back. */
async function writing() {
  await start();
  const d10 = await capture.dispatcher(10);
  capture.hold("d10 write");
  const handled = d10.handle(event());
  handled.catch(() => undefined);
  await capture.settle();
  await capture.respond(K, "write", [d10]);
  capture.queues.take("status");
  return { d10, handled };
}

describe("stop", () => {
  it("waits for a write that has begun, and for its DONE (I7)", async () => {
    const { handled } = await writing();
    const stopping = capture.node.stop();
    expect(await settled(stopping)).toBe(false);
    expect(capture.answersLeft).toBe(1);
    capture.let("d10 write");
    await handled;
    expect(await settled(stopping)).toBe(true);
    expect(capture.reports()).toEqual(["write-done 100 10"]);
    expect(capture.answersLeft).toBe(0);
  });

  it("leaves an action in its queue whose write takes longer than it waits, and says DONE of nothing", async () => {
    const { handled } = await writing();
    const stopping = capture.node.stop({ limitMs: 100 });
    await capture.settle();
    capture.clock.advance(100);
    expect(await settled(stopping)).toBe(true);
    await expect(handled).rejects.toThrow(NodeStopped);
    capture.let("d10 write");
    await capture.settle();
    expect(capture.reports()).toEqual([]);
    expect(capture.answersLeft).toBe(1);
  });

  it("leaves an action in its queue whose DONE does not get through", async () => {
    const { handled } = await writing();
    capture.queues.broken = "status";
    capture.let("d10 write");
    await handled;
    const stopping = capture.node.stop({ limitMs: 100 });
    expect(await settled(stopping)).toBe(false);
    capture.clock.advance(100);
    expect(await settled(stopping)).toBe(true);
    capture.queues.broken = undefined;
    capture.clock.advance(10_000);
    await capture.settle();
    expect(capture.reports()).toEqual([]);
    expect(capture.answersLeft).toBe(1);
  });

  it("begins no action that comes while it waits", async () => {
    const { d10 } = await writing();
    const d11 = await capture.dispatcher(11);
    const waits = d11.handle(event());
    waits.catch(() => undefined);
    await capture.settle();
    const stopping = capture.node.stop();
    await capture.respond(K, "pass", [d11]);
    capture.let("d10 write");
    await capture.settle();
    await stopping;
    expect(capture.calls).toEqual(["d10 flush", "d10 write", "d11 flush"]);
    await expect(waits).rejects.toThrow(NodeStopped);
    await expect(d10.write([])).rejects.toThrow(NodeStopped);
    await expect(capture.node.removeDispatcher(d(10))).rejects.toThrow(NodeStopped);
    expect(capture.errors).toEqual([]);
  });

  it("rejects what is pending, whatever it is", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    capture.hold("d10 rows");
    const pending = [
      d10.write(["a"]),
      d10.write(["b"]),
      d10.flush(),
      capture.node.follow(2n),
      capture.node.createDispatcher({ ...d10.config, id: d(11) }),
    ].map((one) => expect(one).rejects.toThrow(NodeStopped));
    await capture.settle();
    const stopping = capture.node.stop({ limitMs: 0 });
    await capture.settle();
    await stopping;
    await Promise.all(pending);
    expect(capture.calls).toEqual(["d10 rows"]);
  });
});

describe("removeDispatcher", () => {
  it("does not wait for a hanging sink for ever, and can be waited for again", async () => {
    const { handled } = await writing();
    const removal = capture.node.removeDispatcher(d(10), { limitMs: 100 });
    const busy = expect(removal).rejects.toMatchObject({
      name: "StillBusy",
      message: expect.stringContaining("its sink executes the action of event"),
    });
    await capture.settle();
    capture.clock.advance(100);
    await busy;
    const again = capture.node.removeDispatcher(d(10));
    capture.let("d10 write");
    await capture.settle();
    await again;
    await handled;
    expect(capture.node.dispatcher(d(10))).toBeUndefined();
  });

  it("is not told before what the dispatcher has done is (D10a)", async () => {
    const { handled } = await writing();
    const { queues } = capture;
    const tried: string[] = [];
    const send = queues.send.bind(queues);
    queues.send = (url, message) => {
      tried.push(message.attributes["type"]!);
      return send(url, message);
    };
    queues.broken = "status";
    capture.let("d10 write");
    await handled;
    const removal = capture.node.removeDispatcher(d(10));
    await capture.settle();
    capture.clock.advance(10_000);
    await capture.settle();
    expect(new Set(tried)).toEqual(new Set(["BlockStatusRequest"]));
    queues.broken = undefined;
    capture.clock.advance(5_000);
    await capture.settle();
    await removal;
    expect(tried.at(-1)).toBe("HeartBeatRequest");
  });

  it("rejects what is handled and will not end here", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    const handled = expect(d10.handle(event())).rejects.toThrow(DispatcherClosed);
    await capture.settle();
    const removed = capture.node.removeDispatcher(d(10));
    await handled;
    await capture.settle();
    await removed;
    await expect(d10.write([])).rejects.toThrow(DispatcherClosed);
  });
});

describe("calls that must not be", () => {
  it("refuses a second event, and rows, while the first is handled, which goes on", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    const handled = d10.handle(event());
    await expect(d10.handle(event(ddl(200n)))).rejects.toThrow(OverlappingCall);
    await expect(d10.write(["a"])).rejects.toThrow(OverlappingCall);
    await expect(d10.flush(100n)).rejects.toThrow(RangeError);
    await capture.settle();
    await capture.respond(K, "pass", [d10]);
    await handled;
    expect(capture.reports()).toEqual(["waiting 100 10", "pass-done 100 10"]);
    expect(capture.calls).toEqual(["d10 flush", "d10 pass"]);
  });

  it("flushes and reports nothing behind rows that could not be written, until they are", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    capture.hold("d10 rows");
    const rows = ["a"];
    const failed = expect(d10.write(rows)).rejects.toThrow("d10 rows failed");
    const behind = expect(d10.write(["b"])).rejects.toThrow(EarlierFailed);
    const handled = d10.handle(event());
    await capture.settle();
    capture.fail("d10 rows");
    await failed;
    await behind;
    await capture.settle();
    expect(capture.calls).toEqual(["d10 rows"]);
    capture.clock.advance(30_000);
    await capture.settle();
    expect(capture.reports()).toEqual([]);
    await expect(d10.flush()).rejects.toThrow(EarlierFailed);
    await d10.retry();
    expect(capture.calls).toEqual(["d10 rows", "d10 rows", "d10 rows"]);
    capture.clock.advance(5_000);
    await capture.settle();
    expect(capture.reports()).toEqual(["waiting 100 10"]);
    await capture.respond(K, "pass", [d10]);
    await handled;
  });

  it("takes the same array again for the rows that could not be written, and no other", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    capture.hold("d10 rows");
    const rows = ["a"];
    const failed = expect(d10.write(rows)).rejects.toThrow("d10 rows failed");
    await capture.settle();
    capture.fail("d10 rows");
    await failed;
    await expect(d10.write(["b"])).rejects.toThrow(EarlierFailed);
    await expect(d10.flush(90n)).rejects.toThrow(EarlierFailed);
    expect(d10.checkpointTs).toBe(1n);
    await d10.write(rows);
    await d10.write(["b"]);
    await d10.flush(90n);
    expect(d10.checkpointTs).toBe(90n);
  });

  it("comes again to an event that could not be written by itself, before anything else", async () => {
    await start();
    const trigger = await capture.dispatcher(0);
    const create = { key: K, blockTables: normal(0n), payload: undefined };
    capture.hold("d0 write");
    const failed = expect(trigger.handle(create)).rejects.toThrow("d0 write failed");
    await capture.settle();
    capture.fail("d0 write");
    await failed;
    await expect(trigger.handle(event(ddl(200n)))).rejects.toThrow(EarlierFailed);
    await expect(trigger.write(["a"])).rejects.toThrow(EarlierFailed);
    await expect(trigger.flush(100n)).rejects.toThrow(RangeError);
    await trigger.handle(create);
    expect(trigger.finishedTs).toBe(100n);
  });
});

describe("what a report costs", () => {
  it("is sent once, however long the way is closed, and tried seldom", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    capture.queues.broken = "status";
    capture.queues.sends = 0;
    const handled = d10.handle(event());
    handled.catch(() => undefined);
    for (let second = 0; second < 120; second++) {
      await capture.settle();
      capture.clock.advance(1_000);
    }
    expect(capture.queues.sends).toBeLessThan(60);
    capture.queues.broken = undefined;
    capture.queues.sends = 0;
    capture.clock.advance(5_000);
    await capture.settle();
    const heard = capture.reports();
    expect(heard.length).toBeLessThanOrEqual(2);
    expect(new Set(heard)).toEqual(new Set(["waiting 100 10"]));
  });

  const partitions = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ tableId: BigInt(1_000_000 + index), schemaId: 100n }));

  it("goes as protobuf when it does not fit as JSON, since an event cannot be split", async () => {
    await start();
    const trigger = await capture.dispatcher(0);
    const create = {
      key: K,
      blockTables: normal(0n),
      needAddedTables: partitions(8_192),
      payload: undefined,
    };
    await trigger.handle(create);
    await capture.settle();
    const [message, ...more] = capture.queues.waiting("status");
    expect(more).toEqual([]);
    expect(message!.attributes).toMatchObject({ type: "BlockStatusRequest", encoding: "protobuf" });
    expect(Buffer.byteLength(message!.body)).toBeLessThan(256 * 1024);
    const [status] = decode("BlockStatusRequest", "protobuf", message!.body).blockStatuses;
    expect(status!.state!.NeedAddedTables).toHaveLength(8_192);
  });

  it("is refused before anything is written if no message holds it", async () => {
    await start();
    const trigger = await capture.dispatcher(0);
    const create = {
      key: K,
      blockTables: normal(0n),
      needAddedTables: partitions(120_000),
      payload: undefined,
    };
    await expect(trigger.handle(create)).rejects.toThrow(MessageRefused);
    expect(capture.calls).toEqual([]);
    await trigger.handle({ ...create, needAddedTables: partitions(1) });
    expect(capture.calls).toEqual(["d0 flush", "d0 write"]);
  });
});

describe("a queue that is gone", () => {
  it("is created again, and everybody on it registered again as it stands", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    await capture.dispatcher(11);
    const handled = d10.handle(event());
    await capture.settle();
    capture.queues.take("status");
    const url = [...capture.queues.queues.keys()].find((name) => name !== "status")!;
    await capture.queues.deleteQueue(url);
    await capture.until(() => capture.registered().length === 2);
    expect(capture.queues.queues.has(url)).toBe(true);
    expect(capture.registered().map(({ ID, blockState }) => [ID!.low, blockState?.BlockTs])).toEqual([
      [10n, 100n],
      [11n, undefined],
    ]);
    await capture.accept();
    await capture.respond(K, "pass", [d10]);
    await handled;
  });

  it("is not read while one of its name is there that others can use", async () => {
    await start();
    const { queues } = capture;
    const d10 = await capture.dispatcher(10);
    const handled = d10.handle(event());
    await capture.settle();
    const url = [...queues.queues.keys()].find((name) => name !== "status")!;
    let refusals = 0;
    queues.createQueue = async (name) => {
      // Somebody was faster, and lets others in.
      queues.queues.set(name, queues.queues.get(name) ?? []);
      refusals++;
      throw new UnsafeQueue(name);
    };
    await queues.deleteQueue(url);
    const refused = (times: number) =>
      capture.until(() => {
        capture.clock.advance(5_000);
        return refusals >= times;
      });
    await refused(1);
    const receives = queues.receives.get(url);
    await capture.respond(K, "pass", [d10]);
    await refused(3);
    expect(queues.receives.get(url)).toBe(receives);
    // Whoever it was is gone.
    Reflect.deleteProperty(queues, "createQueue");
    await capture.until(() => {
      capture.clock.advance(5_000);
      return capture.calls.includes("d10 pass");
    });
    await handled;
  });
});
