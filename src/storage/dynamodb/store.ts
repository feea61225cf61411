import { randomBytes } from "node:crypto";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { ChunkPosition } from "../../barrier/floor.ts";
import type { Chunk, ChunkPointer } from "../../barrier/roster.ts";
import type {
  BarrierChanges,
  BarrierConditions,
  BarrierItem,
  BarrierName,
  BarrierResult,
  Count,
  Kept,
  KeyRange,
  Registry,
  Root,
  RootChanges,
  RootConditions,
  RootResult,
  Tally,
} from "../../maintainer/base/port.ts";
import { parseSpace, type Space } from "../../maintainer/base/space.ts";
import { decodeChunk, encodeChunk } from "../chunk-codec.ts";
import { KEEP_SECONDS, SUPERSEDED_SECONDS } from "../lifetimes.ts";
import type { Store } from "../memory.ts";
import { barrierFrom, barrierUpdate, prunedStamps, tallyFrom, tallyUpdate } from "./barrier-item.ts";
import { inParallel } from "./batches.ts";
import { keptFrom, keptItem } from "./kept-item.ts";
import {
  barrierKey,
  chunkKey,
  chunkPartitions,
  epochPartition,
  type Key,
  keptKey,
  keptPartition,
  positionKey,
  positionPartition,
  rootKey,
  SPACES,
  SWEEP_FROM,
  spaceKey,
  tallyKey,
  tallyPartition,
} from "./keys.ts";
import { pointerFrom } from "./pointer-text.ts";
import { positionFrom, positionItem } from "./position-item.ts";
import { isOwnCommit, rootFrom, rootUpdate } from "./root-item.ts";
import { Table } from "./table.ts";
import { B, type Item, N, S, text, Update } from "./values.ts";

export interface StoreOptions {
  readonly table: string;
  /** How long what `KEEP_SECONDS` is about stays. Default: `KEEP_SECONDS`. */
  readonly keepSeconds?: number;
  /** How long superseded chunk versions stay. Default: an hour. */
  readonly supersededSeconds?: number;
  /** Milliseconds since 1970, for the TTL. */
  readonly now?: () => number;
}

/**
 * The store on DynamoDB: one table, every exclusive step one conditional write of one item, no transactions.
 *
 * | pk | sk | item |
 * |---|---|---|
 * | space | `ROOT` | root |
 * | space `#` epoch | `B#` key | barrier |
 * | space `#` epoch `#` key `#` count | chunk | tally |
 * | space `#` epoch `#POSITIONS` | chunk `#` start | how far a chunk is at least |
 * | space `#CHUNKS#` number | pointer | one version of a roster chunk |
 * | space `#C#` name | `CHUNK` | the same, as earlier versions wrote it |
 * | space `#KEPT` | id | kept message |
 * | `SPACES` | space | registry for the sweeper |
 * | `SPACES` | `#FROM` | where the next sweep begins |
 */
export class DynamoStore implements Store {
  readonly table: Table;
  readonly #now: () => number;
  readonly #keepSeconds: number;
  readonly #supersededSeconds: number;

  constructor(client: DynamoDBClient, options: StoreOptions) {
    this.table = new Table(client, options.table);
    this.#now = options.now ?? Date.now;
    this.#keepSeconds = options.keepSeconds ?? KEEP_SECONDS;
    this.#supersededSeconds = options.supersededSeconds ?? SUPERSEDED_SECONDS;
  }

  async readRoot(space: Space): Promise<Root | undefined> {
    return rootFrom(await this.table.get(rootKey(space)));
  }

  async commitRoot(space: Space, conditions: RootConditions, changes: RootChanges): Promise<RootResult> {
    const token = randomBytes(12).toString("base64url");
    const { done, item } = await this.table.update(rootKey(space), rootUpdate(conditions, changes, token));
    const root = rootFrom(item);
    return done || isOwnCommit(item, token) ? { committed: true, root: root! } : { committed: false, root };
  }

  async readChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<(Chunk | undefined)[]> {
    const items = await this.table.getMany(pointers.map((pointer) => chunkKey(space, pointer)));
    return items.map((item) => (item?.["data"]?.B ? decodeChunk(item["data"].B) : undefined));
  }

  async putChunks(space: Space, chunks: readonly { pointer: ChunkPointer; chunk: Chunk }[]): Promise<void> {
    await this.table.putMany(
      chunks.map(({ pointer, chunk }) => {
        const data = encodeChunk(chunk);
        return { key: chunkKey(space, pointer), attributes: { data: B(data) }, bytes: data.length };
      }),
    );
  }

  /**
   * Those that the root points to are left alone, whatever the caller believes: who lost the answer of a commit takes it
   * for a failure, and a roster without one of its chunks could not be read again.
   */
  async expireChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<void> {
    if (pointers.length === 0) return;
    const inUse = new Set((await this.readRoot(space))?.pointers.map((pointer) => pointer.name));
    const ttl = this.#ttl(this.#supersededSeconds);
    await inParallel(
      pointers.filter((pointer) => !inUse.has(pointer.name)),
      async (pointer) => {
        const update = new Update();
        update.set(update.name("ttl"), update.value(N(ttl)));
        update.condition(`attribute_exists(${update.name("pk")})`);
        await this.table.update(chunkKey(space, pointer), update);
      },
    );
  }

  async listChunks(space: Space): Promise<ChunkPointer[]> {
    const found: ChunkPointer[] = [];
    await inParallel(chunkPartitions(space), async (pk) => {
      for (const item of await this.table.query(pk, "", { brief: true }))
        if (item["ttl"] === undefined) found.push(pointerFrom(text(item["sk"])));
    });
    return found;
  }

  async readBarrier(name: BarrierName): Promise<BarrierItem | undefined> {
    return barrierFrom(await this.table.get(barrierKey(name)));
  }

  async touchBarrier(
    name: BarrierName,
    conditions: BarrierConditions,
    changes: BarrierChanges,
  ): Promise<BarrierResult> {
    const update = barrierUpdate(conditions, changes);
    const { done, item } = await this.table.update(barrierKey(name), update);
    if (done) await this.#prune(barrierKey(name), item);
    const barrier = barrierFrom(item);
    return done ? { done: true, item: barrier! } : { done: false, item: barrier };
  }

  async touchTally(
    name: BarrierName,
    count: Count,
    chunk: number,
    changes: { readonly add?: readonly number[]; readonly stamp?: number },
  ): Promise<Tally> {
    const update = tallyUpdate(changes, this.#ttl(this.#keepSeconds));
    const { item } = await this.table.update(tallyKey(name, count, chunk), update);
    await this.#prune(tallyKey(name, count, chunk), item);
    return tallyFrom(chunk, item);
  }

  async #prune(key: Key, item: Item | undefined): Promise<void> {
    const update = item && prunedStamps(item);
    if (update) await this.table.update(key, update);
  }

  async readTallies(name: BarrierName, count: Count): Promise<Tally[]> {
    const items = await this.table.query(tallyPartition(name, count));
    return items.map((item) => tallyFrom(Number(text(item["sk"])), item));
  }

  async keep(space: Space, kept: Kept): Promise<void> {
    await this.table.put(keptKey(space, kept.id), {
      ...keptItem(kept),
      ttl: N(this.#ttl(this.#keepSeconds)),
    });
  }

  async readKept(space: Space): Promise<Kept[]> {
    const items = await this.table.query(keptPartition(space));
    return items.map(keptFrom);
  }

  async dropKept(space: Space, ids: readonly string[]): Promise<void> {
    await this.table.deleteMany(ids.map((id) => keptKey(space, id)));
  }

  async registerSpace(space: Space, token: string): Promise<void> {
    await this.table.put(spaceKey(space), { token: S(token) });
  }

  async listSpaces(): Promise<Space[]> {
    return (await this.readRegistry()).entries.map((entry) => entry.space);
  }

  async readRegistry(): Promise<Registry> {
    const items = await this.table.query(SPACES);
    const entries = items
      .filter((item) => text(item["sk"]) !== SWEEP_FROM.sk)
      .map((item) => ({
        space: parseSpace(text(item["sk"])),
        token: text(item["token"]),
        retired: item["retired"] !== undefined,
      }));
    const from = text(items.find((item) => text(item["sk"]) === SWEEP_FROM.sk)?.["space"]);
    return { entries, from };
  }

  async retireSpace(space: Space, token: string): Promise<void> {
    const update = new Update();
    update.set(update.name("retired"), update.value(N(Math.floor(this.#now() / 1000))));
    const name = update.name("token");
    update.condition(`attribute_exists(${update.name("pk")})`);
    // An entry that an earlier version wrote has none.
    update.condition(token === "" ? `attribute_not_exists(${name})` : `${name} = ${update.value(S(token))}`);
    await this.table.update(spaceKey(space), update);
  }

  async nextSweepFrom(space: string): Promise<void> {
    await this.table.put(SWEEP_FROM, { space: S(space) });
  }

  async readHistory(
    space: Space,
    epoch: bigint,
    limit: number,
    range?: KeyRange,
  ): Promise<{ key: string; item: BarrierItem }[]> {
    const items = await this.table.query(epochPartition(space, epoch), "B#", {
      newestFirst: range?.oldestFirst !== true,
      limit,
      // Sort keys are compared with both ends; a digit behind a key is above it and below the next.
      ...(range && { between: [`B#${range.above}0`, `B#${range.upTo}`] as const }),
    });
    return items.map((item) => ({ key: text(item["sk"]).slice(2), item: barrierFrom(item)! }));
  }

  async expireBarriers(space: Space, epoch: bigint, keys: readonly string[]): Promise<void> {
    const ttl = this.#ttl(this.#keepSeconds);
    await inParallel(keys, async (key) => {
      const update = new Update();
      update.set(update.name("ttl"), update.value(N(ttl)));
      update.condition(`attribute_exists(${update.name("pk")})`);
      await this.table.update(barrierKey({ space, epoch, key }), update);
    });
  }

  async notePositions(space: Space, epoch: bigint, positions: readonly ChunkPosition[]): Promise<void> {
    const ttl = N(this.#ttl(this.#keepSeconds));
    await this.table.putMany(
      positions.map((one) => ({
        key: positionKey(space, epoch, one.chunk, one.start),
        attributes: { ...positionItem(one), ttl },
        bytes: 200,
      })),
    );
  }

  async readPositions(space: Space, epoch: bigint): Promise<ChunkPosition[]> {
    const items = await this.table.query(positionPartition(space, epoch));
    return items.map(positionFrom).sort((a, b) => a.chunk - b.chunk || (a.start < b.start ? -1 : 1));
  }

  /** Seconds since 1970 until which an item stays that is kept for so long from now. */
  #ttl(seconds: number): number {
    return Math.floor(this.#now() / 1000) + seconds;
  }
}
