import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { itemBytes } from "../dynamodb/item-size.ts";
import { DynamoStore } from "../dynamodb/store.ts";
import type { Item } from "../dynamodb/values.ts";
import { MemoryStore, type Store } from "../memory.ts";

/** Bytes and TTL of every item in a store, by its keys: as the table holds them, and as the store in memory says. */
export async function inventory(store: Store): Promise<Record<string, { bytes: number; ttl?: number }>> {
  const found: Record<string, { bytes: number; ttl?: number }> = {};
  const note = (name: string, bytes: number, ttl: number | undefined) => {
    found[name] = { bytes, ...(ttl !== undefined && { ttl }) };
  };
  if (store instanceof MemoryStore) {
    for (const [name, { bytes, ttl }] of store.items) note(name, bytes, ttl);
    return found;
  }
  if (!(store instanceof DynamoStore)) throw new Error("a store of another kind");
  let from: Item | undefined;
  do {
    const answer = await store.table.client.send(
      new ScanCommand({
        TableName: store.table.name,
        ConsistentRead: true,
        ...(from && { ExclusiveStartKey: from }),
      }),
    );
    for (const item of answer.Items ?? [])
      note(
        `${item["pk"]!.S} ${item["sk"]!.S}`,
        itemBytes(item),
        item["ttl"]?.N ? Number(item["ttl"].N) : undefined,
      );
    from = answer.LastEvaluatedKey;
  } while (from);
  return found;
}
