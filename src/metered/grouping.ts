/**
 * What tallies would cost if several roster chunks shared one item: a calculation on the same fleet and the same order of
 * messages, not a run of the maintainer, which keeps a tally for each chunk. For one chunk it is held against a run.
 */
import { keyText } from "../protocol/event-key.ts";
import { itemBytes } from "../storage/dynamodb/item-size.ts";
import { FIRST_TS, type Fleet, type FleetNode } from "./fleet.ts";
import { mixed } from "./metered-world.ts";
import { writeUnits } from "./standin/item-size.ts";

/** Messages in an invocation. */
const BATCH = 10;
/** Bytes of the name of a chunk's slots in a tally: "reported", or as short for each of several. */
const NAME = 8;

/** Slots as a set of numbers, which is what the table holds, or as one of binaries: two bytes for chunk and slot. */
export type SlotForm = "numbers" | "binaries";

export interface GroupingRow {
  readonly dispatchers: number;
  /** Chunks that share a tally. */
  readonly chunks: number;
  readonly form: SlotForm;
  readonly mixed: boolean;
  readonly messages: number;
  /** Writes of tallies in one barrier, both phases, and their units. */
  readonly writes: number;
  readonly units: number;
  /** The largest tally. */
  readonly bytes: number;
}

interface Place {
  readonly group: number;
  readonly chunk: number;
  readonly bytes: number;
}

/**
 * Tallies of one barrier with one message of each dispatcher, ten in an invocation.
 * @param isMixed whether neighbours among the WAITINGs are of different nodes; DONEs come as their nodes get Pass, in order
 */
export function countGroups(fleet: Fleet, chunks: number, form: SlotForm, isMixed: boolean): GroupingRow {
  const places = placesOf(fleet, chunks, form);
  const inOrder = fleet.nodes.flatMap((node: FleetNode) => node.members.map(({ key }) => places.get(key)!));
  const base = baseOf(fleet);
  const waiting = phase(base, isMixed ? mixed(inOrder) : inOrder);
  const passed = phase(base, inOrder);
  return {
    dispatchers: fleet.shape.dispatchers,
    chunks,
    form,
    mixed: isMixed,
    messages: 2 * inOrder.length,
    writes: waiting.writes + passed.writes,
    units: waiting.units + passed.units,
    bytes: waiting.bytes,
  };
}

function placesOf(fleet: Fleet, chunks: number, form: SlotForm): Map<string, Place> {
  const places = new Map<string, Place>();
  const ofDispatchers = fleet.chunks().filter((chunk) => chunk.kind === "dispatchers");
  for (const [index, chunk] of ofDispatchers.entries())
    for (const { id, slot } of chunk.lives)
      places.set(id, {
        group: Math.floor(index / chunks),
        chunk: index,
        bytes: form === "binaries" ? 2 : itemBytes({ "": { N: String(slot) } }),
      });
  return places;
}

/** Bytes of a tally beside its slots: its key and its time to live. */
function baseOf(fleet: Fleet): number {
  return itemBytes({
    pk: { S: `${fleet.space.text}#1#${keyText({ commitTs: FIRST_TS, isSyncPoint: false })}#waiting` },
    sk: { S: "00000001" },
    ttl: { N: "1700000000" },
  });
}

function phase(base: number, order: readonly Place[]): { writes: number; units: number; bytes: number } {
  const sizes = new Map<number, number>();
  const named = new Set<number>();
  let writes = 0;
  let units = 0;
  for (let from = 0; from < order.length; from += BATCH) {
    const before = new Map<number, number>();
    for (const { group, chunk, bytes } of order.slice(from, from + BATCH)) {
      const size = sizes.get(group) ?? base;
      if (!before.has(group)) before.set(group, size);
      sizes.set(group, size + bytes + (named.has(chunk) ? 0 : NAME));
      named.add(chunk);
    }
    writes += before.size;
    for (const [group, size] of before) units += writeUnits(size, sizes.get(group)!);
  }
  return { writes, units, bytes: Math.max(...sizes.values()) };
}
