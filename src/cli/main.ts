import { Command, CommanderError } from "commander";
import { printable } from "../error/printable.ts";
import { asProblem } from "./aws-problem.ts";
import { registerBarriers } from "./barriers.ts";
import { registerCheckpoint } from "./checkpoint.ts";
import { registerCost } from "./cost.ts";
import { registerEvict } from "./evict.ts";
import { registerExplain } from "./explain.ts";
import { registerLocal } from "./local.ts";
import { Problem } from "./problem.ts";
import { registerRemove } from "./remove.ts";
import { registerReplay } from "./replay.ts";
import { warn } from "./say.ts";
import { registerStatus } from "./status.ts";
import { registerUnbind } from "./unbind.ts";

const program = new Command("weir")
  .description("Barriers for change data capture: run them here, replay a change log, see what is open.")
  .showHelpAfterError("(weir --help lists the commands)")
  .exitOverride();
registerReplay(program);
registerLocal(program);
registerStatus(program);
registerExplain(program);
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
    warn(`weir: ${problem.message}`);
    return problem.exitCode;
  }
  const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  warn(`weir: ${printable(said)}${process.env["WEIR_DEBUG"] ? "" : " (WEIR_DEBUG=1 shows where)"}`);
  if (process.env["WEIR_DEBUG"] && error instanceof Error) warn(error.stack ?? "");
  return 1;
}
