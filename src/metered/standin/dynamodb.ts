/**
 * DynamoDB as the shipped adapter sees it: a client whose requests are answered from memory, and counted as DynamoDB
 * bills them. The adapter, its expressions and its items are the real ones.
 */
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { itemBytes } from "../../storage/dynamodb/item-size.ts";
import type { Clock } from "./clock.ts";
import { holds, type Item, updated } from "./expressions.ts";
import { readUnits, writeUnits } from "./item-size.ts";
import { count, type Usage } from "./meter.ts";

const MAX_ITEM = 400 * 1024;
const PAGE = 1024 * 1024;
const BATCH_READ = 16 * 1024 * 1024;

interface Stored {
  readonly item: Item;
  readonly bytes: number;
}

export interface StandInOptions {
  readonly clock: Clock;
  readonly usage: Usage;
  /** Milliseconds of one request. */
  readonly latency: number;
  /** Told of every request, with its answer and the units that it was billed. */
  readonly onRequest?: (request: Answered) => void;
}

/** A request as it was made, and what became of it. */
export interface Answered {
  readonly command: object;
  readonly answer: object | undefined;
  readonly error: Error | undefined;
  readonly writeUnits: number;
  readonly readUnits: number;
}

/** One table. */
export class StandInDynamo {
  readonly #partitions = new Map<string, Map<string, Stored>>();
  #written = new Map<string, number>();
  readonly #options: StandInOptions;

  constructor(options: StandInOptions) {
    this.#options = options;
  }

  /** A client for the adapter: it uses nothing but `send`. */
  get client(): DynamoDBClient {
    const send = async (command: object) => {
      const kind = command.constructor.name.replace(/Command$/, "");
      count(this.#options.usage.dynamodb, kind);
      await this.#options.clock.after(this.#options.latency);
      return this.#told(command);
    };
    return { send, destroy: () => undefined } as unknown as DynamoDBClient;
  }

  /** Bytes of all items, for what storage costs. */
  get bytes(): number {
    let bytes = 0;
    for (const partition of this.#partitions.values())
      for (const one of partition.values()) bytes += one.bytes;
    return bytes;
  }

  /** Write units of the partition key that took most of them, since the last time that it was asked. */
  hottest(): number {
    const most = Math.max(0, ...this.#written.values());
    this.#written = new Map();
    return most;
  }

  #wrote(key: Item, units: number): void {
    this.#options.usage.writeUnits += units;
    const pk = key["pk"]!.S!;
    this.#written.set(pk, (this.#written.get(pk) ?? 0) + units);
  }

  #told(command: object): object {
    const { usage, onRequest } = this.#options;
    if (onRequest === undefined) return this.#answer(command);
    const { writeUnits, readUnits } = usage;
    let answer: object | undefined;
    let error: Error | undefined;
    try {
      answer = this.#answer(command);
      return answer;
    } catch (thrown) {
      error = thrown as Error;
      throw thrown;
    } finally {
      const billed = { writeUnits: usage.writeUnits - writeUnits, readUnits: usage.readUnits - readUnits };
      onRequest({ command, answer, error, ...billed });
    }
  }

  #answer(command: object): object {
    if (command instanceof GetItemCommand) return this.#get(command.input);
    if (command instanceof UpdateItemCommand) return this.#update(command.input);
    if (command instanceof PutItemCommand) return this.#put(command.input.Item!);
    if (command instanceof DeleteItemCommand) return this.#delete(command.input.Key!);
    if (command instanceof QueryCommand) return this.#query(command.input);
    if (command instanceof BatchGetItemCommand) return this.#batchGet(command.input);
    if (command instanceof BatchWriteItemCommand) return this.#batchWrite(command.input);
    throw new Error(`the stand-in knows no ${command.constructor.name}`);
  }

  #find(key: Item): Stored | undefined {
    return this.#partitions.get(key["pk"]!.S!)?.get(key["sk"]!.S!);
  }

  #store(key: Item, item: Item): Stored {
    const bytes = itemBytes(item);
    if (bytes > MAX_ITEM)
      throw Object.assign(new Error("Item size to update has exceeded the maximum allowed size"), {
        name: "ValidationException",
      });
    const stored = { item, bytes };
    const pk = key["pk"]!.S!;
    const partition = this.#partitions.get(pk);
    if (partition) partition.set(key["sk"]!.S!, stored);
    else this.#partitions.set(pk, new Map([[key["sk"]!.S!, stored]]));
    return stored;
  }

  #get({ Key }: GetItemCommand["input"]): object {
    const found = this.#find(Key!);
    this.#options.usage.readUnits += readUnits(found?.bytes ?? 0);
    return { Item: found?.item };
  }

  #update(input: UpdateItemCommand["input"]): object {
    const { Key, ConditionExpression, UpdateExpression } = input;
    const { usage } = this.#options;
    const by = { names: input.ExpressionAttributeNames, values: input.ExpressionAttributeValues };
    const found = this.#find(Key!);
    const before = found?.item ?? {};
    if (ConditionExpression && !holds(ConditionExpression, before, by)) {
      this.#wrote(Key!, writeUnits(found?.bytes ?? 0, 0));
      usage.failedConditions++;
      throw new ConditionalCheckFailedException({
        message: "The conditional request failed",
        $metadata: {},
        // What is not there is told by an empty item: the adapter would read it otherwise.
        ...(found && { Item: found.item }),
      });
    }
    const item = updated(UpdateExpression ?? "", { ...Key, ...before }, by);
    const stored = this.#store(Key!, item);
    this.#wrote(Key!, writeUnits(found?.bytes ?? 0, stored.bytes));
    return { Attributes: item };
  }

  #put(item: Item): object {
    const before = this.#find(item)?.bytes ?? 0;
    this.#wrote(item, writeUnits(before, this.#store(item, item).bytes));
    return {};
  }

  #delete(key: Item): object {
    const before = this.#find(key)?.bytes ?? 0;
    this.#wrote(key, writeUnits(before, 0));
    this.#partitions.get(key["pk"]!.S!)?.delete(key["sk"]!.S!);
    return {};
  }

  #query(input: QueryCommand["input"]): object {
    const { ExpressionAttributeValues: values, ScanIndexForward, Limit, ExclusiveStartKey } = input;
    const prefix = values?.[":sk"]?.S ?? "";
    const partition = this.#partitions.get(values![":pk"]!.S!) ?? new Map<string, Stored>();
    const [low, high] = [values?.[":from"]?.S, values?.[":to"]?.S];
    const within = (sk: string) =>
      low === undefined || high === undefined ? sk.startsWith(prefix) : sk >= low && sk <= high;
    let names = [...partition.keys()].filter(within).sort();
    if (ScanIndexForward === false) names.reverse();
    const from = ExclusiveStartKey?.["sk"]?.S;
    if (from !== undefined) names = names.slice(names.indexOf(from) + 1);
    const items: Item[] = [];
    let bytes = 0;
    for (const name of names) {
      if (items.length === Limit || bytes > PAGE) break;
      const stored = partition.get(name)!;
      items.push(stored.item);
      bytes += stored.bytes;
    }
    this.#options.usage.readUnits += readUnits(bytes);
    const last = items.at(-1);
    const more = items.length < names.length && last;
    return { Items: items, ...(more && { LastEvaluatedKey: { pk: last["pk"], sk: last["sk"] } }) };
  }

  #batchGet({ RequestItems }: BatchGetItemCommand["input"]): object {
    const [[table, { Keys }]] = Object.entries(RequestItems!) as [[string, { Keys: Item[] }]];
    const items: Item[] = [];
    const left: Item[] = [];
    let bytes = 0;
    for (const key of Keys) {
      if (bytes > BATCH_READ) {
        left.push(key);
        continue;
      }
      const found = this.#find(key);
      this.#options.usage.readUnits += readUnits(found?.bytes ?? 0);
      bytes += found?.bytes ?? 0;
      if (found) items.push(found.item);
    }
    return {
      Responses: { [table]: items },
      ...(left.length > 0 && { UnprocessedKeys: { [table]: { Keys: left } } }),
    };
  }

  #batchWrite({ RequestItems }: BatchWriteItemCommand["input"]): object {
    for (const { PutRequest, DeleteRequest } of Object.values(RequestItems!).flat()) {
      if (PutRequest) this.#put(PutRequest.Item!);
      if (DeleteRequest) this.#delete(DeleteRequest.Key!);
    }
    return {};
  }
}
