import { Command, CommanderError } from "commander";
import { asProblem } from "./aws-problem.ts";
import { registerBarriers } from "./barriers.ts";
import { registerCheckpoint } from "./checkpoint.ts";
import { registerCost } from "./cost.ts";
import { registerEvict } from "./evict.ts";
import { registerLocal } from "./local.ts";
import { Problem } from "./problem.ts";
import { registerRemove } from "./remove.ts";
import { registerReplay } from "./replay.ts";
import { registerUnbind } from "./unbind.ts";

const program = new Command("weir")
  .description("Barriers for change data capture: run them here, replay a change log, see what is open.")
  .showHelpAfterError("(weir --help lists the commands)")
  .exitOverride();
registerReplay(program);
registerLocal(program);
registerBarriers(program);
registerCheckpoint(program);
registerEvict(program);
registerUnbind(program);
registerRemove(program);
registerCost(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

/** 0 for help, 2 for what the caller can put right, 1 for what went wrong. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const problem = error instanceof Problem ? error : asProblem(error);
  if (problem) {
    console.error(`weir: ${problem.message}`);
    return problem.exitCode;
  }
  console.error(error instanceof Error ? `weir: ${error.stack ?? error.message}` : `weir: ${String(error)}`);
  return 1;
}
