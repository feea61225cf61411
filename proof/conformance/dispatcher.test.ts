/** The dispatcher by what it reports and what its sink is asked for: TiCDC's dispatcher tests (docs/conformance.md). */
import { afterEach, describe, expect, it } from "vitest";
import { NodeStopped } from "../../src/dispatcher/errors.ts";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import { Capture } from "../../src/dispatcher/testing/capture.ts";
import { everybody, normal, schema } from "../../src/dispatcher/testing/doubles.ts";
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
/** An event of the table trigger alone: it blocks nobody. */
const alone = (more: Partial<CaptureEvent>, key = K) => event(key, { blockTables: normal(0n), ...more });
const adds = { needAddedTables: [{ tableId: 40n, schemaId: 1n }] };

let capture: Capture;
const start = async (...options: Parameters<typeof Capture.start>) => {
  capture = await Capture.start(...options);
  return capture;
};
afterEach(() => capture.stop());

describe("an event that blocks nobody", () => {
  it("#40 of a table is written at once, said once, and neither pending nor repeated", async () => {
    const d10 = await (await start()).dispatcher(10);
    await d10.handle(event(K, { blockTables: normal(10n) }));
    expect(capture.calls).toEqual(["d10 flush", "d10 write"]);
    await capture.settle();
    expect(capture.reports()).toEqual(["none 100 10"]);
    expect(d10.outstanding).toBe(false);
  });

  it("#44 of the table trigger that changes no tables is written and not reported", async () => {
    const d0 = await (await start()).dispatcher(1, { tableId: 0n });
    await d0.handle(alone({}));
    await capture.settle();
    expect([capture.calls, capture.reports()]).toEqual([["d1 flush", "d1 write"], []]);
  });

  it.each([
    ["#40 that drops tables", { needDroppedTables: normal(10n) }],
    ["#40 that adds tables", adds],
    ["#44 that drops a schema's", { needDroppedTables: schema(1n) }],
  ])("%s is reported every 5 s until the ACK of its own key", async (_, more) => {
    const d0 = await (await start()).dispatcher(1, { tableId: 0n });
    await d0.handle(alone(more));
    await capture.settle();
    expect(capture.reports()).toEqual(["none 100 1"]);
    await capture.respond(ddl(101n), "ack", [d0]);
    await capture.respond(S, "ack", [d0]);
    capture.clock.advance(REPEAT);
    await capture.settle();
    expect(capture.reports()).toEqual(["none 100 1"]);
    await capture.respond(K, "ack", [d0]);
    capture.clock.advance(10 * REPEAT);
    await capture.settle();
    expect(capture.reports()).toEqual([]);
    expect(d0.outstanding).toBe(false);
  });

  it.each([
    ["no tables to drop", { needDroppedTables: normal() }],
    ["no tables to add", { needAddedTables: [] }],
    ["no routes", { routeAdmissions: [] }],
  ])("#47 is not reported for lists that are there and empty: %s", async (_, more) => {
    const d0 = await (await start()).dispatcher(1, { tableId: 0n });
    await d0.handle(alone(more));
    await capture.settle();
    expect(capture.reports()).toEqual([]);
  });
});

describe("a blocking event", () => {
  it("#40 stays WAITING after its ACK and after an action that nobody knows, and is finished by Write", async () => {
    const d10 = await (await start()).dispatcher(10);
    const handled = d10.handle(event());
    await capture.settle();
    expect(capture.reports()).toEqual(["waiting 100 10"]);
    await capture.respond(K, "ack", [d10]);
    await capture.respond(K, 2, [d10]);
    expect(capture.errors).toEqual([expect.stringMatching(/action 2 is unknown/)]);
    expect([d10.blockedAt?.stage, capture.reports(), capture.answersLeft]).toEqual(["waiting", [], 0]);
    await capture.respond(K, "write", [d10]);
    await handled;
    expect(capture.reports()).toEqual(["write-done 100 10"]);
  });

  it("#42 is seen by nobody before its flush has ended, and is flushed once", async () => {
    const d10 = await (await start()).dispatcher(10);
    capture.hold("d10 flush");
    const handled = d10.handle(event());
    await capture.settle();
    await capture.respond(K, "write", [d10]);
    const followed = expect(capture.node.follow(2n)).rejects.toThrow(NodeStopped);
    await capture.settle();
    expect(capture.registered().map((span) => span.blockState)).toEqual([undefined]);
    expect(capture.reports()).toEqual([]);
    capture.let("d10 flush");
    await capture.settle();
    expect(capture.reports()).toEqual(["waiting 100 10"]);
    await capture.stop();
    await followed;
    await expect(handled).rejects.toThrow(NodeStopped);
    expect(capture.calls).toEqual(["d10 flush"]);
  });

  it("#42 is written after its flush, without another one", async () => {
    const d10 = await (await start()).dispatcher(10);
    const handled = d10.handle(event());
    await capture.settle();
    await capture.respond(K, "write", [d10]);
    await handled;
    await capture.respond(K, "pass", [d10]);
    expect(capture.calls).toEqual(["d10 flush", "d10 write"]);
    expect(capture.reports()).toEqual(["waiting 100 10", "write-done 100 10", "pass-done 100 10"]);
  });

  it("#51 whose write takes long holds up no other dispatcher of the node", async () => {
    await start();
    const d10 = await capture.dispatcher(10);
    const d20 = await capture.dispatcher(20);
    capture.hold("d10 write");
    const [slow, quick] = [d10.handle(event(ddl(50n))), d20.handle(event(S))];
    await capture.settle();
    await capture.respond(ddl(50n), "write", [d10]);
    await capture.respond(S, "pass", [d20]);
    await quick;
    await d20.write([]);
    expect(capture.calls.slice(-2)).toEqual(["d20 pass", "d20 rows"]);
    expect(capture.reports()).toContain("pass-done 100s 20");
    capture.let("d10 write");
    await slow;
  });

  it("#53 a DDL and a syncpoint of one commitTs are two events, and each is answered for itself", async () => {
    const d10 = await (await start()).dispatcher(10);
    const first = d10.handle(event(K));
    await capture.settle();
    await capture.respond(S, "pass", [d10]);
    expect(capture.calls).toEqual(["d10 flush"]);
    await capture.respond(K, "pass", [d10]);
    await first;
    const second = d10.handle(event(S));
    await capture.settle();
    // T-A5: the late repeat of the DDL's action is answered for the DDL, and the syncpoint goes on waiting.
    await capture.respond(K, "write", [d10]);
    expect(d10.blockedAt).toMatchObject({ event: { key: S }, stage: "waiting" });
    await capture.respond(S, "write", [d10]);
    await second;
    expect(capture.calls).toEqual(["d10 flush", "d10 pass", "d10 flush", "d10 write"]);
    expect(capture.reports()).toEqual([
      "waiting 100 10",
      "pass-done 100 10",
      "waiting 100s 10",
      "write-done 100 10",
      "write-done 100s 10",
    ]);
  });

  it("#50 of redo is reported, answered and finished in its own mode", async () => {
    const d10 = await (await start({ mode: "redo" })).dispatcher(10);
    const handled = d10.handle(event());
    await capture.settle();
    const [request] = capture.requests();
    expect([request!.mode, request!.blockStatuses[0]!.mode]).toEqual([1n, 1n]);
    await capture.respond(K, "write", [d10]);
    await handled;
    expect(capture.reports()).toEqual(["waiting 100 10", "write-done 100 10"]);
  });
});
