import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EventKey, keyText } from "../protocol/event-key.ts";
import type { CaptureEvent } from "./event.ts";
import { blocks } from "./event.ts";
import { type Command, DispatcherMachine, REPEAT_MS, SLOW_REPEAT_MS } from "./machine.ts";
import { everybody, normal } from "./testing/doubles.ts";

const ddl = (commitTs: bigint): EventKey => ({ commitTs, isSyncPoint: false });
const syncpoint = (commitTs: bigint): EventKey => ({ commitTs, isSyncPoint: true });
const event = (key: EventKey, more: Partial<CaptureEvent> = {}): CaptureEvent => ({
  key,
  blockTables: key.isSyncPoint ? everybody : normal(1n, 2n),
  payload: undefined,
  ...more,
});
const table = { tableId: 1n, whole: true };
const trigger = { tableId: 0n, whole: true };
const what = (commands: readonly Command[]) =>
  commands.map((one) =>
    one.do === "report" ? `report ${one.stage}` : one.do === "done" ? `done ${one.action}` : one.do,
  );

/** A machine that stands at an event and waits. */
function waitingAt(key: EventKey, identity = table): DispatcherMachine {
  const machine = new DispatcherMachine(identity, 1n);
  machine.arrive(event(key));
  machine.flushed(0);
  return machine;
}

describe("D1: what blocks", () => {
  it.each([
    ["a syncpoint", event(syncpoint(5n)), table, true],
    ["All", event(ddl(5n), { blockTables: everybody }), table, true],
    ["DB", event(ddl(5n), { blockTables: { type: "schema", schemaId: 3n } }), table, true],
    ["Normal over two tables", event(ddl(5n)), table, true],
    [
      "Normal over a table of which it carries a part",
      event(ddl(5n), { blockTables: normal(1n) }),
      { tableId: 1n, whole: false },
      true,
    ],
    ["Normal over the table that it carries", event(ddl(5n), { blockTables: normal(1n) }), table, false],
    ["no BlockTables", { key: ddl(5n), payload: undefined }, table, false],
  ])("%s", (_, one, identity, expected) => {
    expect(blocks(one, identity)).toBe(expected);
  });
});

describe("an event is known by its key", () => {
  it("a second one with the key of the one before it is refused: what it adds would be lost as a repeat", () => {
    const machine = new DispatcherMachine(trigger, 1n);
    const adds = (tableId: bigint) =>
      event(ddl(5n), { blockTables: normal(0n), needAddedTables: [{ tableId: tableId, schemaId: 1n }] });
    machine.arrive(adds(7n));
    machine.wroteLocally(adds(7n), 0);
    expect(() => machine.arrive(adds(8n))).toThrow(/two events with the key .* give it as one/);
    expect(what(machine.arrive(event(syncpoint(5n))))).toEqual([]);
  });
});

describe("D2, D4, D5: a blocking event", () => {
  it("is flushed, then reported, then executed once, then DONE after the stream goes on", () => {
    const machine = new DispatcherMachine(table, 1n);
    expect(what(machine.arrive(event(ddl(5n))))).toEqual(["flush"]);
    expect(machine.act("write", ddl(5n))).toEqual([]);
    expect(what(machine.flushed(0))).toEqual(["report waiting"]);
    expect(machine.flushed(0)).toEqual([]);
    expect(what(machine.act("write", ddl(5n)))).toEqual(["execute"]);
    // A second Write during the write is answered by nothing (D6).
    expect(machine.act("write", ddl(5n))).toEqual([]);
    expect(what(machine.executed("write"))).toEqual(["resume", "done write"]);
    // It was done before: DONE again, of the kind that came.
    expect(what(machine.act("pass", ddl(5n)))).toEqual(["done pass"]);
    expect(machine.outstanding).toBe(false);
  });

  it("is repeated when the clock was set back since, and not an hour later (D4)", () => {
    const machine = waitingAt(ddl(5n));
    expect(what(machine.tick(-3_600_000))).toEqual(["report waiting"]);
    machine.ack(ddl(5n), 0);
    expect(machine.tick(0)).toEqual([]);
    expect(what(machine.tick(-3_600_000))).toEqual(["report waiting"]);
  });

  it("takes no action of the DDL for the syncpoint of the same commitTs, nor the other way round", () => {
    const machine = waitingAt(syncpoint(5n));
    expect(what(machine.act("write", ddl(5n)))).toEqual([]);
    expect(what(machine.act("write", syncpoint(5n)))).toEqual(["execute"]);
    const other = waitingAt(ddl(5n));
    expect(what(other.act("pass", syncpoint(5n)))).toEqual([]);
  });

  it("answers for what it started behind, and not for what is to come", () => {
    const machine = new DispatcherMachine(table, 100n);
    expect(what(machine.act("pass", ddl(100n)))).toEqual(["done pass"]);
    expect(machine.act("pass", syncpoint(100n))).toEqual([]);
    expect(machine.act("pass", ddl(101n))).toEqual([]);
  });

  it("is repeated every 5 s until its ACK, then every 15 s until its action", () => {
    const machine = waitingAt(ddl(5n));
    expect(machine.nextTick).toBe(REPEAT_MS);
    expect(what(machine.tick(REPEAT_MS))).toEqual(["report waiting"]);
    machine.ack(ddl(5n), 6_000);
    expect(machine.nextTick).toBe(6_000 + SLOW_REPEAT_MS);
    machine.ack(syncpoint(5n), 7_000);
    expect(machine.nextTick).toBe(6_000 + SLOW_REPEAT_MS);
    expect(machine.tick(20_000)).toEqual([]);
    expect(what(machine.tick(21_000))).toEqual(["report waiting"]);
    machine.act("pass", ddl(5n));
    expect(machine.nextTick).toBeUndefined();
  });

  it("is repeated at once when it was ignored, and only then", () => {
    const machine = waitingAt(ddl(5n));
    expect(what(machine.ignored(ddl(5n)))).toEqual(["report waiting"]);
    expect(machine.ignored(syncpoint(5n))).toEqual([]);
    machine.act("write", ddl(5n));
    expect(machine.ignored(ddl(5n))).toEqual([]);
  });

  it("stays pending without DONE when the sink fails, and is asked for again (D7)", () => {
    const machine = waitingAt(ddl(5n));
    machine.act("write", ddl(5n));
    expect(machine.failed(1_000)).toEqual([]);
    expect(machine.blockedAt?.stage).toBe("waiting");
    expect(what(machine.tick(1_000 + REPEAT_MS))).toEqual(["report waiting"]);
    expect(what(machine.act("write", ddl(5n)))).toEqual(["execute"]);
  });
});

describe("D3, D10: the table trigger", () => {
  const adds = (commitTs: bigint) =>
    event(ddl(commitTs), { blockTables: normal(0n), needAddedTables: [{ tableId: commitTs, schemaId: 1n }] });

  it("holds every blocking event while a report is not acknowledged", () => {
    const machine = new DispatcherMachine(trigger, 1n);
    const created = adds(5n);
    expect(what(machine.arrive(created))).toEqual(["write-locally"]);
    expect(machine.checkpointCap).toBe(4n);
    // An early ACK, before it was written here, changes nothing (docs/conformance.md, item 46).
    expect(machine.ack(ddl(5n), 0)).toEqual([]);
    expect(what(machine.wroteLocally(created, 0))).toEqual(["report none", "resume"]);
    expect(machine.arrive(event(ddl(6n)))).toEqual([]);
    expect(machine.blockedAt?.stage).toBe("held");
    expect(() => machine.arrive(event(ddl(7n)))).toThrow(/came while .* is held/);
    expect(what(machine.tick(REPEAT_MS))).toEqual(["report none"]);
    expect(what(machine.ack(ddl(5n), 0))).toEqual(["flush"]);
    expect(machine.checkpointCap).toBeUndefined();
  });

  it("caps its checkpoint below the smallest of several, whichever is acknowledged first", () => {
    const machine = new DispatcherMachine(trigger, 1n);
    for (const one of [adds(5n), adds(9n)]) {
      machine.arrive(one);
      machine.wroteLocally(one, 0);
    }
    machine.ack(ddl(9n), 0);
    expect(machine.checkpointCap).toBe(4n);
    machine.ack(ddl(5n), 0);
    expect(machine.checkpointCap).toBeUndefined();
  });

  it("counts nothing any more for a write that failed, and lets the held event go", () => {
    const machine = new DispatcherMachine(trigger, 1n);
    const created = adds(5n);
    machine.arrive(created);
    machine.arrive(event(ddl(6n)));
    expect(what(machine.failedLocally(created))).toEqual(["flush"]);
    expect(machine.checkpointCap).toBeUndefined();
  });
});

describe("D13: who carries a whole table", () => {
  const ofItsTable = event(ddl(5n), { blockTables: normal(1n) });

  it("says once that it wrote a DDL of its table, and asks nobody", () => {
    const machine = new DispatcherMachine(table, 1n);
    expect(what(machine.arrive(ofItsTable))).toEqual(["write-locally"]);
    expect(what(machine.wroteLocally(ofItsTable, 0))).toEqual(["report none", "resume"]);
    expect(machine.outstanding).toBe(false);
    expect(machine.tick(REPEAT_MS)).toEqual([]);
  });

  it("says nothing of what would block nobody", () => {
    const machine = new DispatcherMachine(trigger, 1n);
    const alone = event(ddl(5n), { blockTables: normal(0n) });
    machine.arrive(alone);
    expect(what(machine.wroteLocally(alone, 0))).toEqual(["resume"]);
  });
});

describe("I4", () => {
  it("flushes an event once before WAITING, executes it once, and never says DONE while it executes", () => {
    const keys = [ddl(5n), syncpoint(5n), ddl(6n), ddl(7n), syncpoint(9n)];
    const step = fc.oneof(
      fc.record({
        call: fc.constantFrom("act" as const),
        key: fc.constantFrom(...keys),
        action: fc.constantFrom("write" as const, "pass" as const),
      }),
      fc.record({ call: fc.constantFrom("ack" as const, "ignored" as const), key: fc.constantFrom(...keys) }),
      fc.record({
        call: fc.constantFrom(
          "flushed" as const,
          "executed" as const,
          "failed" as const,
          "tick" as const,
          "arrive" as const,
        ),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const machine = new DispatcherMachine(table, 1n);
        const flushed = new Map<string, number>();
        const executed = new Map<string, number>();
        let executing: "write" | "pass" | undefined;
        let standing: string | undefined;
        let next = 0;
        let now = 0;
        const look = (commands: readonly Command[]) => {
          for (const command of commands) {
            if (command.do === "flush")
              flushed.set(keyText(command.event.key), (flushed.get(keyText(command.event.key)) ?? 0) + 1);
            if (command.do === "report") expect(flushed.get(keyText(command.event.key))).toBe(1);
            if (command.do === "execute") {
              expect(executing).toBeUndefined();
              executing = command.action;
              executed.set(keyText(command.event.key), (executed.get(keyText(command.event.key)) ?? 0) + 1);
            }
            if (command.do === "done" && executing) expect(keyText(command.key)).not.toBe(standing);
            if (command.do === "resume") standing = undefined;
          }
        };
        for (const one of steps) {
          now += 3_000;
          if (one.call === "arrive") {
            if (standing !== undefined || next >= keys.length) continue;
            standing = keyText(keys[next]!);
            look(machine.arrive(event(keys[next++]!)));
          } else if (one.call === "act") look(machine.act(one.action, one.key));
          else if (one.call === "ack") look(machine.ack(one.key, now));
          else if (one.call === "ignored") look(machine.ignored(one.key));
          else if (one.call === "flushed") look(machine.flushed(now));
          else if (one.call === "tick") look(machine.tick(now));
          else if (executing) {
            const action = executing;
            executing = undefined;
            if (one.call === "executed") look(machine.executed(action));
            else {
              look(machine.failed(now));
              executed.clear();
            }
          }
        }
        for (const count of [...flushed.values(), ...executed.values()]) expect(count).toBe(1);
      }),
    );
  });
});
