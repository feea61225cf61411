/** What a node reports, to whom it listens and how it closes a dispatcher (docs/conformance.md). */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { Sink } from "../../src/dispatcher/sink.ts";
import { StorageSink } from "../../src/dispatcher/storage-sink.ts";
import { Capture } from "../../src/dispatcher/testing/capture.ts";
import { everybody, normal } from "../../src/dispatcher/testing/doubles.ts";
import { ddl, syncpoint } from "../../src/maintainer/testing/world.ts";

const K = ddl(100n);
const S = syncpoint(100n);
const REPEAT = 5_000;
const event = (key = K, more: Partial<CaptureEvent> = {}): CaptureEvent => ({
  key,
  blockTables: key.isSyncPoint ? everybody : normal(0n, 10n),
  payload: undefined,
  ...more,
});
const adds = { needAddedTables: [{ tableId: 40n, schemaId: 1n }] };

let capture: Capture;
const start = async (...options: Parameters<typeof Capture.start>) => {
  capture = await Capture.start(...options);
  return capture;
};
afterEach(() => capture.stop());

describe("closing", () => {
  it("#46 waits for the ACK of an event that adds tables", async () => {
    const d0 = await (await start()).dispatcher(1, { tableId: 0n });
    await d0.handle(event(K, { blockTables: normal(0n), ...adds }));
    await capture.settle();
    let closed = false;
    const closing = capture.node.removeDispatcher(d0.config.id).then(() => {
      closed = true;
    });
    capture.clock.advance(REPEAT);
    await capture.settle();
    expect([closed, capture.reports()]).toEqual([false, ["none 100 1", "none 100 1"]]);
    await capture.respond(K, "ack", [d0]);
    await closing;
    expect(d0.checkpointCap).toBeUndefined();
  });

  it("#49 waits for the action that runs and for its DONE in the queue, not for the barrier at which it waits", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    const d20 = await capture.dispatcher(20);
    capture.hold("d10 write");
    void d10.handle(event());
    void d20.handle(event());
    await capture.settle();
    await capture.respond(K, "write", [d10]);
    capture.queues.broken = "status";
    let closed = 0;
    const closing = d10.close().then(() => {
      closed++;
    });
    await d20.close();
    await capture.settle();
    capture.let("d10 write");
    await capture.settle();
    expect(closed).toBe(0);
    capture.queues.broken = undefined;
    capture.clock.advance(1_000);
    await closing;
    expect(capture.reports()).toContain("write-done 100 10");
  });
});

describe("what is reported", () => {
  it("#52 keeps a dispatcher's order when it is folded, and tells DDL and syncpoint apart", async () => {
    await start({ foldMs: 200 });
    const d10 = await capture.dispatcher(10);
    const d20 = await capture.dispatcher(20);
    const both = [d10.handle(event(K)), d20.handle(event(S))];
    await capture.settle();
    await capture.respond(K, "pass", [d10]);
    await capture.respond(S, "pass", [d20]);
    await Promise.all(both);
    void d10.handle(event(S));
    await capture.settle();
    expect(capture.requests()).toEqual([]);
    capture.clock.advance(200);
    await capture.settle();
    expect(capture.requests()).toHaveLength(1);
    expect(capture.reports()).toEqual([
      "waiting 100 10",
      "waiting 100s 20,10",
      "pass-done 100 10",
      "pass-done 100s 20",
    ]);
  });

  it("#52 does not change when the event does, which a repeat would carry", async () => {
    const d0 = await (await start()).dispatcher(1, { tableId: 0n });
    const lists = {
      blockTables: normal(0n, 10n),
      needDroppedTables: normal(10n),
      needAddedTables: [{ tableId: 40n, schemaId: 1n }],
      updatedSchemas: [{ tableId: 10n, oldSchemaId: 1n, newSchemaId: 2n }],
      routeAdmissions: [{ action: "admit" as const, sourceSchema: "a", sourceTable: "t" }],
    };
    void d0.handle(event(K, lists));
    await capture.settle();
    const [first] = capture.requests();
    capture.queues.take("status");
    lists.blockTables.tableIds.push(99n);
    lists.needDroppedTables.tableIds.push(99n);
    lists.needAddedTables[0]!.tableId = 99n;
    lists.updatedSchemas.pop();
    lists.routeAdmissions[0]!.sourceTable = "other";
    await capture.respond(K, "ignored", [d0]);
    expect(capture.requests()).toEqual([first]);
  });

  it("#52 names routes only by the table trigger", async () => {
    await start();
    const d0 = await capture.dispatcher(1, { tableId: 0n });
    const d10 = await capture.dispatcher(10);
    const routed = event(K, {
      routeAdmissions: [{ action: "admit" as const, sourceSchema: "a", sourceTable: "t" }],
    });
    void d0.handle(routed);
    void d10.handle(routed);
    await capture.settle();
    const routes = capture
      .requests()
      .flatMap(({ blockStatuses }) =>
        blockStatuses.map(({ ID, state }) => [ID!.low, state!.RouteTableAdmissions.length]),
      );
    expect(routes).toEqual([
      [1n, 1],
      [10n, 0],
    ]);
  });

  it("#54 goes out in messages below the limit, all of it", async () => {
    await start({ messageLimit: 2_000 });
    const events = Array.from({ length: 40 }, (_, index) => ddl(BigInt(index + 100)));
    const all = await Promise.all(
      events.map(async (key, index) => {
        const one = capture.node.createDispatcher({
          id: (index + 100).toString(16).padStart(32, "0"),
          tableId: BigInt(index + 100),
          schemaId: 1n,
          checkpointTs: 1n,
          sink: noSink,
        });
        if (index === events.length - 1) await capture.accept();
        return { key, dispatcher: await one };
      }),
    );
    for (const { key, dispatcher } of all) void dispatcher.handle(event(key));
    await capture.settle();
    const sizes = capture.queues.waiting("status").map((message) => Buffer.byteLength(message.body));
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2_000);
    expect(capture.reports()).toHaveLength(40);
  });
});

const noSink = {
  write: async () => undefined,
  flushBeforeBlock: async () => undefined,
  writeBlockEvent: async () => undefined,
  passBlockEvent: async () => undefined,
};

describe("answers", () => {
  it("#54 of the epoch before are dropped from the moment on in which a node follows, and accept nobody", async () => {
    const d10 = await (await start()).dispatcher(10);
    void d10.handle(event());
    await capture.settle();
    capture.reports();
    let accepted = false;
    const following = capture.node.follow(2n).then(() => {
      accepted = true;
    });
    await capture.respond(K, "write", [d10]);
    await capture.answerRegistration(1n, d10);
    expect([capture.calls, accepted, d10.blockedAt?.stage]).toEqual([["d10 flush"], false, "waiting"]);
    await capture.accept();
    await following;
    await capture.respond(K, "write", [d10]);
    expect(capture.calls).toEqual(["d10 flush", "d10 write"]);
  });

  it("T-A9 of another key, or while the same one is executed, get no DONE", async () => {
    const d10 = await (await start()).dispatcher(10);
    const handled = d10.handle(event());
    await capture.settle();
    expect(capture.reports()).toEqual(["waiting 100 10"]);
    for (const key of [ddl(90n), ddl(110n), S]) await capture.respond(key, "write", [d10]);
    expect([capture.reports(), capture.calls]).toEqual([[], ["d10 flush"]]);
    capture.hold("d10 write");
    for (let copy = 0; copy < 3; copy++) await capture.respond(K, "write", [d10]);
    expect(capture.reports()).toEqual([]);
    capture.let("d10 write");
    await handled;
    await capture.settle();
    expect(capture.reports()).toEqual(["write-done 100 10"]);
    expect([capture.calls, capture.answersLeft]).toEqual([["d10 flush", "d10 write"], 0]);
  });

  // protocol.md D9
  it("T-A12 a rename moves its own table and no other: Pass of either schema reaches whoever belongs to it", async () => {
    await start();
    const d0 = await capture.dispatcher(1, { tableId: 0n });
    const [d10, d11] = [await capture.dispatcher(10), await capture.dispatcher(11)];
    const d20 = await capture.dispatcher(20, { schemaId: 2n });
    const rename = { updatedSchemas: [{ tableId: 10n, oldSchemaId: 1n, newSchemaId: 2n }] };
    const four = [d0, d10, d11, d20];
    const renamed = [d0.handle(event(ddl(90n), rename)), d10.handle(event(ddl(90n), rename))];
    await capture.settle();
    await capture.respond(ddl(90n), "pass", [d0, d10]);
    await Promise.all(renamed);
    for (const one of four) void one.handle(event(K, { blockTables: everybody }));
    await capture.settle();
    capture.reports();
    await capture.respond(K, "pass", { schema: 2n });
    const passed = () =>
      four.filter((one) => one.finishedTs === 100n).map((one) => Number(one.config.tableId));
    expect(passed()).toEqual([0, 10, 20]);
    await capture.respond(K, "pass", { schema: 1n });
    expect(passed()).toEqual([0, 10, 11, 20]);
  });
});

describe("a syncpoint", () => {
  it("T-A14 is reported when every row before it is in the storage, and not earlier", async () => {
    const folder = await mkdtemp(join(tmpdir(), "weir-conformance-"));
    try {
      const d10 = await (await start()).dispatcher(10, { sink: new StorageSink(folder, "d10") as Sink });
      const row = { schema: "a", table: "t", version: 7n, commitTs: 462406916505600001n, text: "{}" };
      await d10.write([row]);
      expect(await readdir(folder)).toEqual([]);
      void d10.handle(event(S));
      const written = async () =>
        (await readdir(folder, { recursive: true })).filter((one) => one.endsWith(".json"));
      // The storage takes its own time; the clock stands, so nothing is sent meanwhile.
      while (d10.blockedAt?.stage === "flushing") await new Promise((resolve) => setTimeout(resolve, 1));
      const files = await written();
      await capture.settle();
      expect(capture.reports()).toEqual(["waiting 100s 10"]);
      expect(files).toEqual([join("a", "t", "7", "2025-11-24", "CDC_d10_00000000000000000001.json")]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
