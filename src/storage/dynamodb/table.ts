import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
  type WriteRequest,
} from "@aws-sdk/client-dynamodb";
import type { Item, Update } from "./values.ts";

export type Key = { readonly pk: string; readonly sk: string };

/** Items in one BatchGetItem and one BatchWriteItem: DynamoDB's limits. */
const READ_BATCH = 100;
const WRITE_BATCH = 25;
/** Bytes of one BatchWriteItem that are surely accepted (the limit is 16 MB). */
const WRITE_BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_ATTEMPTS = 8;
const BATCHES_AT_A_TIME = 8;

/** Requests by kind, counted where they are made. */
export type RequestCounts = Record<string, number>;

/** The table, with what every access here has in common: consistent reads, single-item writes, counts. */
export class Table {
  readonly name: string;
  readonly counts: RequestCounts = {};
  /** Conditions that failed: each costs its write all the same. */
  failedConditions = 0;
  readonly #client: DynamoDBClient;

  constructor(client: DynamoDBClient, name: string) {
    this.#client = client;
    this.name = name;
  }

  async get(key: Key): Promise<Item | undefined> {
    this.#count("GetItem");
    const answer = await this.#client.send(
      new GetItemCommand({ TableName: this.name, Key: itemKey(key), ConsistentRead: true }),
    );
    return answer.Item;
  }

  /** @returns the item after the update, or as it is if a condition failed */
  async update(key: Key, update: Update): Promise<{ done: boolean; item: Item | undefined }> {
    this.#count("UpdateItem");
    try {
      const answer = await this.#client.send(
        new UpdateItemCommand({
          TableName: this.name,
          Key: itemKey(key),
          ...update.expressions(),
          ReturnValues: "ALL_NEW",
          ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        }),
      );
      return { done: true, item: answer.Attributes };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw explain(error, key);
      this.failedConditions++;
      // The embedded engine does not return the item with the failure; DynamoDB does, and saves the read.
      return { done: false, item: error.Item ?? (await this.get(key)) };
    }
  }

  async put(key: Key, attributes: Item): Promise<void> {
    this.#count("PutItem");
    try {
      await this.#client.send(
        new PutItemCommand({ TableName: this.name, Item: { ...itemKey(key), ...attributes } }),
      );
    } catch (error) {
      throw explain(error, key);
    }
  }

  /** All items of a partition whose sort key starts so, page by page. */
  async query(
    pk: string,
    prefix = "",
    options: { newestFirst?: boolean; limit?: number } = {},
  ): Promise<Item[]> {
    const items: Item[] = [];
    let from: Item | undefined;
    do {
      this.#count("Query");
      const answer = await this.#client.send(
        new QueryCommand({
          TableName: this.name,
          ConsistentRead: true,
          KeyConditionExpression: prefix === "" ? "pk = :pk" : "pk = :pk AND begins_with(sk, :sk)",
          ExpressionAttributeValues: { ":pk": { S: pk }, ...(prefix !== "" && { ":sk": { S: prefix } }) },
          ScanIndexForward: !options.newestFirst,
          ...(options.limit !== undefined && { Limit: options.limit - items.length }),
          ...(from && { ExclusiveStartKey: from }),
        }),
      );
      items.push(...(answer.Items ?? []));
      from = answer.LastEvaluatedKey;
    } while (from && (options.limit === undefined || items.length < options.limit));
    return items;
  }

  /** Items in the order of the keys; undefined where there is none. */
  async getMany(keys: readonly Key[]): Promise<(Item | undefined)[]> {
    if (keys.length === 1) return [await this.get(keys[0]!)];
    const found = new Map<string, Item>();
    await inParallel(batches(keys, READ_BATCH), async (batch) => {
      let rest: Item[] = batch.map(itemKey);
      for (let attempt = 1; rest.length > 0; attempt++) {
        this.#count("BatchGetItem");
        const answer = await this.#client.send(
          new BatchGetItemCommand({ RequestItems: { [this.name]: { Keys: rest, ConsistentRead: true } } }),
        );
        for (const item of answer.Responses?.[this.name] ?? [])
          found.set(`${item["pk"]?.S} ${item["sk"]?.S}`, item);
        // What does not fit into 16 MB, or is throttled, comes back to be asked for again.
        rest = (answer.UnprocessedKeys?.[this.name]?.Keys as Item[] | undefined) ?? [];
        if (rest.length > 0) await backOff(attempt, `read ${rest.length} of ${batch.length} items`);
      }
    });
    return keys.map((key) => found.get(`${key.pk} ${key.sk}`));
  }

  async putMany(items: readonly { key: Key; attributes: Item; bytes: number }[]): Promise<void> {
    if (items.length === 1) return this.put(items[0]!.key, items[0]!.attributes);
    const requests = items.map(({ key, attributes, bytes }) => ({
      request: { PutRequest: { Item: { ...itemKey(key), ...attributes } } },
      bytes,
    }));
    await this.#writeMany(requests);
  }

  async deleteMany(keys: readonly Key[]): Promise<void> {
    await this.#writeMany(
      keys.map((key) => ({ request: { DeleteRequest: { Key: itemKey(key) } }, bytes: 0 })),
    );
  }

  async #writeMany(requests: readonly { request: WriteRequest; bytes: number }[]): Promise<void> {
    const all: WriteRequest[][] = [];
    let size = 0;
    for (const { request, bytes } of requests) {
      const last = all.at(-1);
      if (last && last.length < WRITE_BATCH && size + bytes <= WRITE_BATCH_BYTES) last.push(request);
      else {
        all.push([request]);
        size = 0;
      }
      size += bytes;
    }
    await inParallel(all, async (batch) => {
      let rest: WriteRequest[] = batch;
      for (let attempt = 1; rest.length > 0; attempt++) {
        this.#count("BatchWriteItem");
        const answer = await this.#client.send(
          new BatchWriteItemCommand({ RequestItems: { [this.name]: rest } }),
        );
        rest = answer.UnprocessedItems?.[this.name] ?? [];
        if (rest.length > 0) await backOff(attempt, `write ${rest.length} of ${batch.length} items`);
      }
    });
  }

  #count(kind: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}

function itemKey({ pk, sk }: Key): Record<"pk" | "sk", AttributeValue> {
  return { pk: { S: pk }, sk: { S: sk } };
}

function batches<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}

async function inParallel<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < all.length) await work(all[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(BATCHES_AT_A_TIME, all.length) }, worker));
}

async function backOff(attempt: number, what: string): Promise<void> {
  if (attempt >= BATCH_ATTEMPTS)
    throw new Error(`DynamoDB did not ${what} in ${attempt} attempts: it is throttled`);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 25 * 2 ** attempt));
}

/** An item over 400 KB is the one error that no repetition mends: say which it is. */
function explain(error: unknown, key: Key): unknown {
  if (error instanceof Error && /item size.*exceeded/i.test(error.message))
    return new Error(
      `item ${key.pk} ${key.sk} is larger than DynamoDB allows (400 KB): ` +
        "too many barriers are open at once, or an event lists too many tables",
      { cause: error },
    );
  return error;
}
