import { describe, expect, it } from "vitest";
import type { CaptureEvent } from "./event.ts";
import { EventPool } from "./event-pool.ts";
import { normal } from "./testing/doubles.ts";

const event = (tables: bigint[], added = 40n): CaptureEvent => ({
  key: { commitTs: 100n, isSyncPoint: false },
  blockTables: { type: "tables", tableIds: tables },
  needAddedTables: [{ tableId: added, schemaId: 1n }],
  payload: undefined,
});
const whole = { tableId: 10n, whole: true };

describe("copies of events", () => {
  it("are shared, with their states, by those that get equal ones", () => {
    const pool = new EventPool();
    const [a, b] = [pool.copyOf(event([1n, 2n])), pool.copyOf(event([1n, 2n]))];
    expect(b.blockTables).toBe(a.blockTables);
    expect(pool.stateOf(b, true, whole)).toBe(pool.stateOf(a, true, whole));
    expect(pool.stateOf(a, false, whole)).not.toBe(pool.stateOf(a, true, whole));
  });

  it("hold a frozen list as it is, and look at its entries once, however many get it", () => {
    let reads = 0;
    const counted = <T>(list: T[]): T[] =>
      new Proxy(Object.freeze(list) as T[], {
        get: (of, name, self) => {
          if (typeof name === "string" && /^\d+$/.test(name)) reads++;
          return Reflect.get(of, name, self);
        },
      });
    const tables = Array.from({ length: 400 }, (_, index) => BigInt(index));
    const needAddedTables = counted(tables.map((tableId) => Object.freeze({ tableId, schemaId: 1n })));
    const given = { ...event(counted(tables)), needAddedTables };
    const pool = new EventPool();
    const copies = Array.from({ length: 50 }, () => pool.copyOf({ ...given }));
    // Once each for the question whether they are frozen, and as often where the size of a report is looked at.
    expect(reads).toBeLessThanOrEqual(4 * 800);
    expect(copies.every((one) => one.needAddedTables === needAddedTables)).toBe(true);
    const other = pool.copyOf({ ...given, needAddedTables: needAddedTables.slice(1) });
    expect(other.needAddedTables).toHaveLength(399);
  });

  it("copy a frozen list whose entries may change", () => {
    const pool = new EventPool();
    const entry = { tableId: 40n, schemaId: 1n };
    const given = { ...event([1n, 2n]), needAddedTables: Object.freeze([entry]) };
    const before = pool.copyOf(given);
    entry.tableId = 41n;
    expect(pool.copyOf(given).needAddedTables).toEqual([{ tableId: 41n, schemaId: 1n }]);
    expect(before.needAddedTables).toEqual([{ tableId: 40n, schemaId: 1n }]);
  });

  it("say the same whatever becomes of what was given (D8)", () => {
    const pool = new EventPool();
    const tables = [1n, 2n];
    const given = event(tables);
    const before = pool.copyOf(given);
    tables.push(3n);
    const after = pool.copyOf(given);
    expect(before.blockTables).toEqual(normal(1n, 2n));
    expect(after.blockTables).toEqual(normal(1n, 2n, 3n));
    (given.needAddedTables![0] as { tableId: bigint }).tableId = 41n;
    expect(pool.copyOf(given).needAddedTables).toEqual([{ tableId: 41n, schemaId: 1n }]);
    expect(after.needAddedTables).toEqual([{ tableId: 40n, schemaId: 1n }]);
    expect(pool.stateOf(before, true, whole).BlockTables!.TableIDs).toEqual([1n, 2n]);
  });

  it.each([
    ["blockTables", { InfluenceType: 0 }],
    ["blockTables", { type: "tables" }],
    ["blockTables", { type: "tables", tableIds: [1] }],
    ["needDroppedTables", { type: "schema", schemaId: 3 }],
    ["needDroppedTables", { type: "All" }],
    ["needAddedTables", [{ TableID: 1n, SchemaID: 2n }]],
    ["updatedSchemas", [{ tableId: 1n, oldSchemaId: 2n }]],
  ])("are refused with %s %o", (name, tables) => {
    const given = { ...event([1n]), [name]: tables } as unknown as CaptureEvent;
    expect(() => new EventPool().copyOf(given)).toThrow(
      expect.objectContaining({
        code: "bad-input",
        message: expect.stringMatching(`^event 0{17}100-0: ${name} must be .*, with bigints for ids$`),
      }),
    );
  });
});
