import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readFolder } from "../consumer/folder.ts";
import type { CaptureEvent } from "../dispatcher/event.ts";
import type { Sink } from "../dispatcher/sink.ts";
import { type StorageFiles, systemFiles } from "../dispatcher/storage/files.ts";
import { row as storageRow } from "../dispatcher/storage/testing/rows.ts";
import { type StoragePayload, type StorageRow, StorageSink } from "../dispatcher/storage-sink.ts";
import type { EventKey } from "../protocol/event-key.ts";
import { SinkContractBroken, type SinkHarness, sinkContract } from "./index.ts";

describe("the storage sink", () => {
  for (const { name, run } of sinkContract(storage)) it(name, run);
});

async function storage(): Promise<SinkHarness<StorageRow, StoragePayload>> {
  const folder = await mkdtemp(join(tmpdir(), "weir-contract-"));
  let fails = false;
  const files = new Proxy(systemFiles, {
    get: (of, name: keyof StorageFiles) => (fails ? () => Promise.reject(new Error("no space")) : of[name]),
  });
  return {
    open: (dispatcher) => new StorageSink(folder, dispatcher, files),
    row: (n) => storageRow(n),
    event: (key) => ({ key, payload: { definitions: key.isSyncPoint ? [] : [definition(key.commitTs)] } }),
    rows: async () => (await readFolder(folder)).rows.map(({ message }) => Number(message.data![0]!["id"])),
    async events() {
      const { schemas, syncpoints } = await readFolder(folder);
      return [
        ...schemas.map((one) => ({ commitTs: BigInt(one.version), isSyncPoint: false })),
        ...syncpoints.map((commitTs) => ({ commitTs, isSyncPoint: true })),
      ];
    },
    fail(now) {
      fails = now;
    },
    close: () => rm(folder, { recursive: true }),
  };
}

const definition = (version: bigint) => ({
  ...{ schema: "d", table: "t", version, type: 0, query: "ALTER TABLE t ADD COLUMN id int" },
  columns: [{ name: "id", type: "int", isPrimaryKey: true }],
});

/** What a sink in memory may do wrong, and the rule that it breaks by that. */
const FAULTS = {
  "flushes nothing": "has all rows durable, in their order",
  "turns the rows around": "has all rows durable, in their order",
  "refuses a flush of nothing": "takes an empty list",
  "holds 1,000 rows": "takes many rows",
  "keeps the list": "keeps the rows that it took",
  "writes events later": "has an event durable",
  "knows events by commitTs": "tells a DDL from a syncpoint",
  "refuses an event that is there": "writes an event again",
  "writes what it passes": "does not write an event that it passes",
  "takes no rows behind an event": "goes on behind an event",
  "begins anew": "keeps what was flushed before a crash",
  "has one place for all": "leaves alone what the sink of another",
  "hides that it failed": "rejects while rows cannot be made durable",
  "forgets what it could not flush": "rejects while rows cannot be made durable",
  "hides that an event failed": "rejects while an event cannot be made durable",
} as const;
type Fault = keyof typeof FAULTS;

/** A sink in memory, with or without a fault. */
function memory(fault?: Fault): SinkHarness<number, string> {
  const rows = new Map<string, number[]>();
  const events = new Map<string, EventKey>();
  let fails = false;
  const nameOf = ({ commitTs, isSyncPoint }: EventKey) =>
    fault === "knows events by commitTs" ? `${commitTs}` : `${commitTs} ${isSyncPoint}`;

  function open(dispatcher: string): Sink<number, string> {
    const place = fault === "has one place for all" ? "all" : dispatcher;
    if (fault === "begins anew" || fault === "has one place for all" || !rows.has(place)) rows.set(place, []);
    const there = rows.get(place)!;
    let waiting: (readonly number[])[] = [];
    let wrote = false;
    let later: CaptureEvent<string> | undefined;
    return {
      async write(given) {
        if (fault === "takes no rows behind an event" && wrote) return;
        waiting.push(fault === "keeps the list" ? given : [...given]);
      },
      async flushBeforeBlock() {
        const all = waiting.flat();
        if (fault === "flushes nothing") return;
        if (fault === "refuses a flush of nothing" && all.length === 0) throw new Error("nothing to flush");
        if (fails && fault === "forgets what it could not flush") waiting = [];
        if (fails && fault === "hides that it failed") return;
        if (fails) throw new Error("no space");
        if (fault === "turns the rows around") all.reverse();
        there.push(...(fault === "holds 1,000 rows" ? all.slice(0, 1_000) : all));
        waiting = [];
      },
      async writeBlockEvent(event) {
        wrote = true;
        const name = nameOf(event.key);
        if (fails && fault === "hides that an event failed") return;
        if (fails) throw new Error("no space");
        if (fault === "refuses an event that is there" && events.has(name)) throw new Error("is there");
        if (later) events.set(nameOf(later.key), later.key);
        if (fault === "writes events later") later = event;
        else events.set(name, event.key);
      },
      async passBlockEvent({ key }) {
        if (fault === "writes what it passes") events.set(nameOf(key), key);
      },
    };
  }

  return {
    open,
    row: (n) => n,
    event: (key) => ({ key, payload: "" }),
    rows: () => [...rows.values()].flat(),
    events: () => [...events.values()],
    fail(now) {
      fails = now;
    },
  };
}

describe("the contract", () => {
  const brokenBy = async (fault?: Fault) => {
    const broken: string[] = [];
    for (const { name, run } of sinkContract(() => memory(fault)))
      await run().catch((error: unknown) => {
        expect((error as Error).message).not.toBe("");
        broken.push(name);
      });
    return broken;
  };

  it("is kept by a plain sink", async () => {
    expect(await brokenBy()).toEqual([]);
  });

  it.each(Object.entries(FAULTS) as [Fault, string][])("notices a sink that %s", async (fault, rule) => {
    expect(await brokenBy(fault)).toContainEqual(expect.stringContaining(rule));
  });

  it("has no rule that no faulty sink breaks", () => {
    for (const { name } of sinkContract(memory))
      expect(
        Object.values(FAULTS).some((rule) => name.startsWith(rule)),
        name,
      ).toBe(true);
  });

  it("says which rule is broken and what was found", async () => {
    const [first] = sinkContract(() => memory("flushes nothing"));
    const broken = first!.run();
    await expect(broken).rejects.toThrow(SinkContractBroken);
    await expect(broken).rejects.toMatchObject({
      code: "sink-contract",
      message:
        "a sink has all rows durable, in their order, when a flush has resolved. This one does not: rows 1, 2, 3 are missing, there are none",
    });
  });

  it("leaves failures out for a harness that cannot fail, and closes each", async () => {
    let [opened, closed] = [0, 0];
    for (const { run } of sinkContract(() => {
      opened++;
      const { fail, ...harness } = memory("hides that it failed");
      return { ...harness, close: () => void closed++ };
    }))
      await run();
    expect([opened, closed]).toEqual([closed, sinkContract(memory).length]);
  });
});
