/** The stand-in gives the answers and bills the units of another engine for everything that the adapter asks. */
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  type ConsumedCapacity,
  type DynamoDBClient,
} from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MeteredWorld, ONE_BY_ONE, type Source } from "../../src/metered/metered-world.ts";
import type { Answered } from "../../src/metered/standin/dynamodb.ts";
import type { Item } from "../../src/metered/standin/expressions.ts";
import { readUnits, writeUnits } from "../../src/metered/standin/item-size.ts";
import { itemBytes } from "../../src/storage/dynamodb/item-size.ts";
import { createTable, type EmbeddedDynamo, startEmbeddedDynamo } from "../../src/storage/testing/embedded.ts";
import { MIXED, shape } from "./counts.ts";
import { countStart } from "./registration.ts";

let embedded: EmbeddedDynamo;
beforeAll(async () => {
  embedded = await startEmbeddedDynamo();
});
afterAll(() => embedded.stop());

/** Sets in one order, so that they can be compared. */
function comparable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value ?? null, (key, one) => {
      if ((key === "SS" || key === "NS") && Array.isArray(one)) return [...one].sort();
      // Answers to many keys come in any order, and the engine asks for no order of names.
      if (key === "Responses")
        return Object.values(one as Record<string, Item[]>)[0]!
          .map(keyOf)
          .sort();
      if (typeof one !== "object" || one === null || Array.isArray(one)) return one;
      return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
    }),
  );
}

const keyOf = (item: Item) => `${item["pk"]!.S} ${item["sk"]!.S}`;

interface Output {
  readonly Item?: Item;
  readonly Items?: Item[];
  readonly Attributes?: Item;
  readonly Responses?: Record<string, Item[]>;
  readonly ConsumedCapacity?: ConsumedCapacity | ConsumedCapacity[];
}

/** Asks another engine the same. */
async function ask(client: DynamoDBClient, table: string, request: Answered): Promise<Output | Error> {
  const { command } = request;
  const input = { ...(command as { input: object }).input, ReturnConsumedCapacity: "TOTAL" } as Record<
    string,
    unknown
  >;
  if (command instanceof BatchGetItemCommand || command instanceof BatchWriteItemCommand)
    input["RequestItems"] = { [table]: Object.values(input["RequestItems"] as object)[0] };
  else input["TableName"] = table;
  const Command = command.constructor as new (input: unknown) => never;
  try {
    return (await client.send(new Command(input))) as unknown as Output;
  } catch (error) {
    return error as Error;
  }
}

async function compare(requests: readonly Answered[]): Promise<Record<string, number>> {
  const table = `standin-${Math.round(performance.now() * 1000)}`;
  await createTable(embedded.client, table);
  const compared: Record<string, number> = {};
  for (const request of requests) {
    const name = request.command.constructor.name;
    const theirs = await ask(embedded.client, table, request);
    compared[name] = (compared[name] ?? 0) + 1;
    if (request.error || theirs instanceof Error) {
      expect([name, (theirs as Error).name]).toEqual([name, request.error?.name]);
      continue;
    }
    const ours = request.answer as Output;
    // Answers to many keys come in any order.
    const found = (output: Output) =>
      Object.values(output.Responses ?? {})[0]
        ?.map(keyOf)
        .sort();
    expect([name, found(ours)]).toEqual([name, found(theirs)]);
    for (const part of ["Item", "Items", "Attributes"] as const)
      expect([name, comparable(ours[part])]).toEqual([name, comparable(theirs[part])]);
    const billed = [theirs.ConsumedCapacity ?? []]
      .flat()
      .reduce((sum, one) => sum + (one.CapacityUnits ?? 0), 0);
    // The engine bills nothing for a query that finds nothing; DynamoDB's least is a unit for a consistent read.
    expect([name, Math.max(1, billed)]).toEqual([name, request.writeUnits + request.readUnits]);
  }
  return compared;
}

describe("the stand-in", () => {
  it.each<[string, Source, "folded" | "single"]>([
    ["folded", ONE_BY_ONE, "folded"],
    ["of single dispatchers, mixed", MIXED, "single"],
  ])("answers and bills barriers as another engine does: %s", async (_, source, reports) => {
    const simulation = new MeteredWorld(shape(300, { reports }), source);
    const requests: Answered[] = [];
    simulation.onRequest = (request) => requests.push(request);
    await simulation.fleets[0]!.settle(simulation.port.store);
    await simulation.remember();
    await simulation.barrier();
    const compared = await compare(requests);
    expect(compared["UpdateItemCommand"]).toBeGreaterThan(20);
    expect(compared["BatchGetItemCommand"]).toBeGreaterThan(0);
  });

  it("answers and bills the start of a changefeed, lost races too", async () => {
    const requests: Answered[] = [];
    const started = await countStart(shape(300), { batch: 1, environments: 10 }, (request) =>
      requests.push(request),
    );
    expect(started.usage.failedConditions).toBeGreaterThan(0);
    const compared = await compare(requests);
    expect(compared["BatchWriteItemCommand"]).toBeGreaterThan(0);
    expect(compared["QueryCommand"]).toBeGreaterThan(0);
  });
});

describe("sizes", () => {
  it("are those of the developer guide", () => {
    expect(itemBytes({ name: { S: "grün" } })).toBe(4 + 5);
    // A byte for two digits and one more; zeros at either end take none.
    for (const [number, bytes] of [
      ["0", 1],
      ["7", 2],
      ["10", 2],
      ["123", 3],
      ["1000000", 2],
      ["-12", 3],
      ["449779372969249750", 10],
    ] as const)
      expect([number, itemBytes({ n: { N: number } })]).toEqual([number, 1 + bytes]);
    expect(itemBytes({ s: { SS: ["ab", "c"] }, b: { B: new Uint8Array(5) } })).toBe(1 + 3 + 1 + 5);
    expect(itemBytes({ m: { M: { ab: { S: "c" } } } })).toBe(1 + 3 + 1 + 2 + 1);
    expect([writeUnits(0, 1), writeUnits(1025, 3), readUnits(0), readUnits(4097)]).toEqual([1, 2, 1, 2]);
  });
});
