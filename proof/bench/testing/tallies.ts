import type { UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { countGroups } from "../../../src/metered/grouping.ts";
import { MeteredWorld, type Source } from "../../../src/metered/metered-world.ts";
import { MIXED, shape } from "../counts.ts";

/** What tallies of one barrier were written, counted in a run and by the calculation of shared ones. */
export async function countTallies(dispatchers: number, source: Source) {
  const simulation = await MeteredWorld.running(shape(dispatchers, { reports: "single" }), source);
  const run = { writes: 0, units: 0 };
  simulation.onRequest = ({ command, writeUnits }) => {
    if (!isTally(command)) return;
    run.writes++;
    run.units += writeUnits;
  };
  await simulation.barrier();
  return { run, row: countGroups(simulation.fleets[0]!, 1, "numbers", source === MIXED) };
}

/** Whether a command writes a tally: its partition is a barrier's and a count's. */
function isTally(command: object): boolean {
  const { Key } = (command as UpdateItemCommand).input;
  return /#(waiting|passed)$/.test(Key?.["pk"]?.S ?? "");
}
