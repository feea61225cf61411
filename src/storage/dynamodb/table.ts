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
import { batches, inParallel, untilDone } from "./batches.ts";
import type { Key } from "./keys.ts";
import { explain } from "./too-large.ts";
import type { Item, Update } from "./values.ts";

export interface NewItem {
  readonly key: Key;
  readonly attributes: Item;
  /** About how large it is. */
  readonly bytes: number;
}

/** Items in one BatchGetItem and one BatchWriteItem: DynamoDB's limits. */
const READ_BATCH = 100;
const WRITE_BATCH = 25;
/** Bytes of one BatchWriteItem that are surely accepted (the limit is 16 MB). */
const WRITE_BATCH_BYTES = 4 * 1024 * 1024;

/** Requests by kind, counted where they are made. */
export type RequestCounts = Record<string, number>;

/** The table, with what every access here has in common: consistent reads, single-item writes, counts. */
export class Table {
  readonly name: string;
  readonly counts: RequestCounts = {};
  /** Conditions that failed: each costs its write all the same. */
  failedConditions = 0;
  readonly client: DynamoDBClient;

  constructor(client: DynamoDBClient, name: string) {
    this.client = client;
    this.name = name;
  }

  async get(key: Key): Promise<Item | undefined> {
    this.#count("GetItem");
    const answer = await this.client.send(
      new GetItemCommand({ TableName: this.name, Key: itemKey(key), ConsistentRead: true }),
    );
    return answer.Item;
  }

  /** @returns the item after the update, or as it is if a condition failed */
  async update(key: Key, update: Update): Promise<{ done: boolean; item: Item | undefined }> {
    this.#count("UpdateItem");
    try {
      const answer = await this.client.send(
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
      await this.client.send(
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
    options: {
      newestFirst?: boolean;
      limit?: number;
      /** Only sort keys from the first to the second of these, both included; then `prefix` is not looked at. */
      between?: readonly [string, string];
      /** Only keys and `ttl` of each item. It is read as a whole all the same. */
      brief?: boolean;
    } = {},
  ): Promise<Item[]> {
    const items: Item[] = [];
    // DynamoDB refuses a limit of 0.
    if (options.limit !== undefined && options.limit < 1) return items;
    const { between } = options;
    // DynamoDB refuses a range that ends before it begins.
    if (between && between[0] > between[1]) return items;
    const [condition, values] = between
      ? ["sk BETWEEN :from AND :to", { ":from": { S: between[0] }, ":to": { S: between[1] } }]
      : prefix === ""
        ? ["", {}]
        : ["begins_with(sk, :sk)", { ":sk": { S: prefix } }];
    let from: Item | undefined;
    do {
      this.#count("Query");
      const answer = await this.client.send(
        new QueryCommand({
          TableName: this.name,
          ConsistentRead: true,
          KeyConditionExpression: condition === "" ? "pk = :pk" : `pk = :pk AND ${condition}`,
          ...(options.brief && {
            ProjectionExpression: "pk, sk, #ttl",
            ExpressionAttributeNames: { "#ttl": "ttl" },
          }),
          ExpressionAttributeValues: { ":pk": { S: pk }, ...values },
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
    await inParallel(
      batches(
        distinct(keys, (key) => key),
        READ_BATCH,
      ),
      (batch) =>
        untilDone<Item>("read", batch.map(itemKey), async (rest) => {
          this.#count("BatchGetItem");
          const answer = await this.client.send(
            new BatchGetItemCommand({ RequestItems: { [this.name]: { Keys: rest, ConsistentRead: true } } }),
          );
          for (const item of answer.Responses?.[this.name] ?? [])
            found.set(keyText({ pk: item["pk"]!.S!, sk: item["sk"]!.S! }), item);
          // What does not fit into 16 MB, or is throttled, comes back to be asked for again.
          return answer.UnprocessedKeys?.[this.name]?.Keys ?? [];
        }),
    );
    return keys.map((key) => found.get(keyText(key)));
  }

  async putMany(items: readonly NewItem[]): Promise<void> {
    const [first] = items;
    if (items.length === 1) return this.put(first!.key, first!.attributes);
    await this.#writeMany(
      items.map(({ key, attributes, bytes }) => ({
        key,
        request: { PutRequest: { Item: { ...itemKey(key), ...attributes } } },
        bytes,
      })),
    );
  }

  async deleteMany(keys: readonly Key[]): Promise<void> {
    await this.#writeMany(
      keys.map((key) => ({ key, request: { DeleteRequest: { Key: itemKey(key) } }, bytes: 0 })),
    );
  }

  async #writeMany(
    writes: readonly { readonly key: Key; readonly request: WriteRequest; readonly bytes: number }[],
  ): Promise<void> {
    const each = distinct(writes, ({ key }) => key);
    await inParallel(
      batches(each, WRITE_BATCH, WRITE_BATCH_BYTES, ({ bytes }) => bytes),
      async (batch) => {
        const requests = batch.map(({ request }) => request);
        try {
          await untilDone<WriteRequest>("write", requests, async (rest) => {
            this.#count("BatchWriteItem");
            const answer = await this.client.send(
              new BatchWriteItemCommand({ RequestItems: { [this.name]: rest } }),
            );
            return answer.UnprocessedItems?.[this.name] ?? [];
          });
        } catch (error) {
          // A batch is refused as a whole, and the answer does not say for which item: it is the largest.
          throw explain(error, batch.reduce((max, one) => (one.bytes > max.bytes ? one : max)).key);
        }
      },
    );
  }

  #count(kind: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}

function itemKey({ pk, sk }: Key): Record<"pk" | "sk", AttributeValue> {
  return { pk: { S: pk }, sk: { S: sk } };
}

const keyText = ({ pk, sk }: Key) => `${pk} ${sk}`;

/** The last of those with the same key: DynamoDB refuses a batch that names an item twice. */
function distinct<T>(all: readonly T[], keyOf: (one: T) => Key): T[] {
  return [...new Map(all.map((one) => [keyText(keyOf(one)), one])).values()];
}
