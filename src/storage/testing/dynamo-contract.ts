/** What only the store on DynamoDB has: requests, lifetimes, limits, lost answers. */
import { GetItemCommand } from "@aws-sdk/client-dynamodb";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DynamoStore } from "../dynamodb/store.ts";
import { KEEP_SECONDS } from "../lifetimes.ts";
import type { DynamoEngine } from "./engine.ts";
import { K1, K2, kept, name, pointer, roster, space, step } from "./samples.ts";

const NOW = 1_700_000_000_000;
const SQS_MAXIMUM_RETENTION = 14 * 24 * 3600;

/**
 * What a store on any engine with DynamoDB's interface must do.
 * @param get gives the engine, once it runs
 * @param saysWhatIsThere whether a failed condition brings the item with it, as DynamoDB's does
 */
export function dynamoContract(get: () => DynamoEngine, saysWhatIsThere: boolean): void {
  let engine: DynamoEngine;
  let store: DynamoStore;
  beforeAll(() => {
    engine = get();
  });
  beforeEach(async () => {
    store = await engine.store({ now: () => NOW });
  });
  const start = () => store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });
  const nodes = (id: number, size: number) => ({
    pointer: { ...pointer(id, 1), kind: "nodes" as const },
    chunk: {
      kind: "nodes" as const,
      id,
      version: 1,
      nodes: [{ id: "n".repeat(size), start: 1n, nodeQueue: "", encoding: "json" as const, principal: "" }],
    },
  });

  describe("requests", () => {
    it("are one for each write, and one more only where a condition fails and the engine does not say what is there", async () => {
      await start();
      await store.commitRoot(space, { sameEpoch: 1n }, { open: { key: K1, step: step() } });
      await store.touchBarrier(name(K1), { notClosed: true }, { stamp: 1 });
      await store.touchTally(name(K1), "waiting", 1, { add: [1] });
      expect(store.table.counts).toEqual({ UpdateItem: 4 });
      expect(store.table.failedConditions).toBe(0);
      const result = await store.commitRoot(space, { sameEpoch: 7n }, { countClosed: true });
      expect(store.table.counts).toEqual({ UpdateItem: 5, ...(!saysWhatIsThere && { GetItem: 1 }) });
      expect(store.table.failedConditions).toBe(1);
      expect(result).toEqual({ committed: false, root: await store.readRoot(space) });
    });

    it("read and write chunks in as few as the limits allow", async () => {
      const chunks = Array.from({ length: 101 }, (_, id) => nodes(id, 10));
      await store.putChunks(space, chunks);
      expect(store.table.counts).toEqual({ BatchWriteItem: 5 });
      await store.readChunks(
        space,
        chunks.map((one) => one.pointer),
      );
      expect(store.table.counts).toEqual({ BatchWriteItem: 5, BatchGetItem: 2 });
    });
  });

  describe("a batch of which a part is left over", () => {
    /** As DynamoDB does when it is throttled or an answer would be too large: all but the first of each batch. */
    async function takingOneAtATime(work: () => Promise<void>): Promise<void> {
      engine.client.middlewareStack.add(
        (next) => async (args) => {
          const asked = (args.input as { RequestItems: Record<string, unknown> }).RequestItems[table()];
          const [first, ...rest] = Array.isArray(asked) ? asked : (asked as { Keys: unknown[] }).Keys;
          const one = Array.isArray(asked) ? [first] : { Keys: [first], ConsistentRead: true };
          const answer = await next({ ...args, input: { RequestItems: { [table()]: one } } });
          const left = rest.length > 0 ? { [table()]: Array.isArray(asked) ? rest : { Keys: rest } } : {};
          const output = answer.output as unknown as Record<string, unknown>;
          output[Array.isArray(asked) ? "UnprocessedItems" : "UnprocessedKeys"] = left;
          return answer;
        },
        { step: "initialize", name: "oneAtATime" },
      );
      try {
        await work();
      } finally {
        engine.client.middlewareStack.remove("oneAtATime");
      }
    }
    const table = () => store.table.name;

    it("is asked for again", async () => {
      const chunks = [1, 2, 3].map((id) => nodes(id, 10));
      await takingOneAtATime(() => store.putChunks(space, chunks));
      const pointers = chunks.map((one) => one.pointer);
      expect(await store.readChunks(space, pointers)).toEqual(chunks.map((one) => one.chunk));
      await takingOneAtATime(async () => {
        expect(await store.readChunks(space, pointers)).toEqual(chunks.map((one) => one.chunk));
      });
      expect(store.table.counts).toEqual({ BatchWriteItem: 3, BatchGetItem: 4 });
    });
  });

  describe("an answer that is lost", () => {
    /** The client repeats a request whose answer it did not get; the first one had its effect all the same. */
    async function losingAnswers<T>(work: () => Promise<T>): Promise<T> {
      let lost = false;
      engine.client.middlewareStack.add(
        (next) => async (args) => {
          const answer = await next(args);
          if (lost) return answer;
          lost = true;
          throw Object.assign(new Error("socket hang up"), { name: "TimeoutError" });
        },
        { step: "deserialize", priority: "high", name: "loseAnswer" },
      );
      try {
        return await work();
      } finally {
        engine.client.middlewareStack.remove("loseAnswer");
        expect(lost).toBe(true);
      }
    }

    it("does not make a commit a failed one", async () => {
      await start();
      await store.commitRoot(space, {}, { open: { key: K1, step: step() } });
      const writing = { ...step(), phase: "writing" as const };
      const result = await losingAnswers(() =>
        store.commitRoot(
          space,
          { sameStep: { key: K1, phase: "waiting", grants: 0 } },
          { step: { key: K1, step: writing } },
        ),
      );
      expect(result).toEqual({ committed: true, root: await store.readRoot(space) });
      expect(store.table.failedConditions).toBe(1);
    });

    it("does not count a closed barrier twice", async () => {
      await start();
      await store.commitRoot(space, {}, { open: { key: K1, step: step() } });
      const closed = { ...step(), phase: "closed" as const };
      const result = await losingAnswers(() =>
        store.commitRoot(
          space,
          { sameStep: { key: K1, phase: "waiting", grants: 0 } },
          { step: { key: K1, step: closed }, countClosed: true },
        ),
      );
      expect([result.committed, result.root!.closedCount]).toEqual([true, 1]);
    });
  });

  describe("lifetimes", () => {
    const ttl = async (pk: string, sk: string): Promise<number | undefined> => {
      const command = new GetItemCommand({
        TableName: store.table.name,
        Key: { pk: { S: pk }, sk: { S: sk } },
      });
      const { Item } = await engine.client.send(command);
      expect(Item).toBeDefined();
      return Item!["ttl"] && Number(Item!["ttl"].N);
    };

    it("of tombstones, tallies and kept messages are longer than a queue's longest retention", async () => {
      expect(KEEP_SECONDS).toBeGreaterThan(SQS_MAXIMUM_RETENTION);
      const until = NOW / 1000 + KEEP_SECONDS;
      await store.touchBarrier(name(K1), {}, { stamp: 1 });
      expect(await ttl(`${space.text}#1`, `B#${K1}`)).toBeUndefined();
      const tombstone = { closedAt: 5, closedOn: 6, grantedAt: 3, writtenAt: 4, writer: "w", lives: 2 };
      await store.touchBarrier(name(K1), {}, { tombstone });
      // A tombstone stays until the floor has passed it (protocol.md M19).
      expect(await ttl(`${space.text}#1`, `B#${K1}`)).toBeUndefined();
      await store.expireBarriers(space, 1n, [K1, K2]);
      expect(await ttl(`${space.text}#1`, `B#${K1}`)).toBe(until);
      expect(await store.readBarrier(name(K2))).toBeUndefined();
      await store.notePositions(space, 1n, [{ chunk: 3, version: 1, start: 0n, atLeast: 7n }]);
      expect(await ttl(`${space.text}#1#POSITIONS`, "00000003#0")).toBe(until);
      await store.touchTally(name(K1), "waiting", 3, { add: [1] });
      expect(await ttl(`${space.text}#1#${K1}#waiting`, "00000003")).toBe(until);
      await store.keep(space, kept("k"));
      expect(await ttl(`${space.text}#KEPT`, "k")).toBe(until);
    });

    it("of chunks end only when no root points to them", async () => {
      const [used, unused] = [nodes(1, 10), nodes(2, 10)];
      await store.putChunks(space, [used, unused]);
      await store.commitRoot(
        space,
        { epochIsNew: 1n },
        { startEpoch: 1n, roster: roster(1, [used.pointer]) },
      );
      await store.expireChunks(space, [used.pointer, unused.pointer, pointer(99, 9)]);
      expect(await ttl(`${space.text}#C#${used.pointer.name}`, "CHUNK")).toBeUndefined();
      expect(await ttl(`${space.text}#C#${unused.pointer.name}`, "CHUNK")).toBe(NOW / 1000 + 3600);
      // What never was does not come to be by its end.
      const never = {
        TableName: store.table.name,
        Key: { pk: { S: `${space.text}#C#i.99.9` }, sk: { S: "CHUNK" } },
      };
      expect((await engine.client.send(new GetItemCommand(never))).Item).toBeUndefined();
    });
  });

  describe("items over 400 KB", () => {
    it("are refused with their name and a way out, alone and in a batch", async () => {
      const event = new Uint8Array(401 * 1024);
      await expect(store.touchBarrier(name(K1), {}, { create: { event, openedAt: 1 } })).rejects.toThrow(
        `item ${space.text}#1 B#${K1} is larger than DynamoDB allows (400 KB): its event lists too many tables`,
      );
      await expect(store.putChunks(space, [nodes(1, 10), nodes(2, 401 * 1024)])).rejects.toThrow(
        `item ${space.text}#C#i.2.1 CHUNK is larger than DynamoDB allows`,
      );
      const body = Buffer.alloc(401 * 1024).toString("base64");
      await expect(store.keep(space, { ...kept("k"), body })).rejects.toThrow("send it in several messages");
    });
  });
}
