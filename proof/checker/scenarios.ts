import type { Scenario } from "./scenario.ts";
import { BEGINNINGS } from "./scenarios/beginnings.ts";
import { CHANGES } from "./scenarios/changes.ts";
import { FLOOR } from "./scenarios/floor.ts";
import { IN_ORDER } from "./scenarios/in-order.ts";
import { LAYOUTS } from "./scenarios/layouts.ts";
import { ONE_BARRIER } from "./scenarios/one-barrier.ts";
import { AHEAD } from "./scenarios/speculate.ts";

/** All worlds that the checker visits. */
export const SCENARIOS: readonly Scenario[] = [
  ...ONE_BARRIER,
  ...IN_ORDER,
  ...CHANGES,
  ...BEGINNINGS,
  ...LAYOUTS,
  ...AHEAD,
  ...FLOOR,
];
