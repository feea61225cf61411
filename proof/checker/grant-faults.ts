import type { BlockEvent } from "../../src/barrier/event.ts";
import type { Life } from "../../src/barrier/roster.ts";
import type { Step } from "../../src/barrier/step.ts";
import type { Root } from "../../src/maintainer/base/port.ts";
import { ComponentState } from "../../src/protocol/messages.ts";
import { expected, influenced, type Seen, tiled } from "./seen.ts";
import { keyWords, type Wire } from "./wire.ts";

/** A grant that was committed just now: the last one of `step`, on the root and roster as they are then. */
export interface Granted {
  readonly seen: Seen;
  readonly root: Root;
  readonly key: string;
  readonly step: Step;
  readonly was: Step | undefined;
  readonly event: BlockEvent;
}

/**
 * What is wrong with a grant (I1, I2, I8).
 * @param waits whether a life really stands at the event
 */
export function grantFaults(
  { seen, root, key, step, was, event }: Granted,
  wire: Wire,
  waits: (life: Life) => boolean,
): string[] {
  const faults: string[] = [];
  const words = `event ${keyWords(key)}`;
  const touched = influenced(seen, event);
  for (const life of touched)
    if (!waits(life))
      faults.push(
        `I1: Write of ${words} is granted, and ${wire.nameOf(life.id)}@${life.life} does not wait for it`,
      );
  for (const life of touched)
    if (life.tableId !== 0n && life.state !== ComponentState.Working)
      faults.push(
        `I1: Write of ${words} is granted, and ${wire.nameOf(life.id)}@${life.life} does not replicate yet`,
      );
  for (const table of expected(seen, event))
    if (!tiled(seen.lives.filter((life) => life.tableId === table)))
      faults.push(`I1: Write of ${words} is granted, and table ${table} is not covered`);
  if (root.pending.some((other) => other < key))
    faults.push(`I8: Write of ${words} is granted before an earlier event has changed the roster`);
  const grant = step.grants.at(-1)!;
  if (!touched.some((life) => life.id === grant.id && life.life === grant.life))
    faults.push(`I2: Write of ${words} is granted to who is not touched by it`);
  const former = was?.grants.at(-1);
  const known = former && seen.lives.some((life) => life.id === former.id);
  if (former && former.id !== grant.id && known)
    faults.push(
      `I2: ${wire.nameOf(grant.id)} becomes the writer of ${words} while ${wire.nameOf(former.id)} is still there`,
    );
  return faults;
}
