import { grantCount, type Step } from "../../barrier/step.ts";
import type { Root, RootChanges, RootConditions } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import type { Session } from "./session.ts";

/** The condition that a barrier has not moved since this step of it was read. */
export function sameStep(key: string, step: Step): NonNullable<RootConditions["sameStep"]> {
  return { key, phase: step.phase, grants: grantCount(step) };
}

/**
 * What a closing adds to its write, so that the root tells which keys were never closed (invariants.md I9). Of two that close
 * out of order on roots from memory the lower one tries again.
 */
export function closing(root: Root, key: string): { conditions: RootConditions; changes: RootChanges } {
  const isHighest = root.closedUpTo !== undefined && root.closedUpTo < key;
  return {
    conditions: isHighest ? { aboveClosed: key } : {},
    changes: { countClosed: true, ...(isHighest && { closedUpTo: key }) },
  };
}

/** One conditional write of the root. The root that comes back is adopted; false: a clause failed. */
export function* commit(
  session: Session,
  conditions: RootConditions,
  changes: RootChanges,
): Program<boolean> {
  const result = yield* ask("commitRoot", session.space, conditions, changes);
  session.adopt(result.root);
  return result.committed;
}
