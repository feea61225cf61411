import type { Dice } from "../../src/chance/dice.ts";
import { openingOf, type Speaker } from "../../src/dispatcher/announcements.ts";
import { encode } from "../../src/protocol/codec.ts";
import { TRIGGER_ID } from "./fixed.ts";

import type { Workload } from "./workload.ts";

/** A table that is in no log: nobody who opens the changefeed wholly names it. */
const NOWHERE = 999_999n;

/**
 * The first part of an opening whose process has ended since: of an earlier start of the same node, or of another node that was to open
 * the changefeed. It has as many parts as the real one, and names a table that is not there any more (protocol.md R1).
 */
export function halfOpening(
  speaker: Speaker,
  workload: Workload,
  machine: { readonly name: string; readonly tablesPerPart: number },
  start: number,
  dice: Dice,
): { body: string; attributes: Record<string, string> } {
  const all = openingOf(speaker, 1n, TRIGGER_ID, workload.opening, 0n, machine.tablesPerPart);
  const tables = [{ tableId: NOWHERE, name: "nowhere" }];
  const [part] = openingOf(speaker, 1n, TRIGGER_ID, [{ schemaId: 1n, name: "gone", tables }], 0n);
  const same = dice.chance(0.5);
  return {
    body: encode("MaintainerPostBootstrapRequest", "json", part!),
    attributes: {
      type: "MaintainerPostBootstrapRequest",
      from: same ? machine.name : "gone",
      start: String(start - 60_000),
      encoding: "json",
      part: String(1 + dice.below(all.length)),
      parts: String(Math.max(2, all.length)),
    },
  };
}
