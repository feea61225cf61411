import type { Command } from "commander";
import type { ChangefeedDiagnosis } from "../diagnosis/verdict.ts";
import { headline, shellWord } from "../diagnosis/words.ts";
import {
  type DiagnosisOptions,
  diagnoseAll,
  isStuck,
  STUCK,
  withDiagnosisOptions,
  withPort,
} from "./diagnosed.ts";
import { type Colour, say, sayJson } from "./say.ts";

/** `weir status`: one line for each changefeed, the worst first. */
export function registerStatus(program: Command): void {
  withDiagnosisOptions(
    program
      .command("status")
      .description("one line for each changefeed, the worst first: is anything stuck, and why")
      .option("--changefeed <part>", "those with this in their name (default: all)"),
  ).action(showStatus);
}

async function showStatus(options: DiagnosisOptions): Promise<void> {
  await withPort(options, async (port, where) => {
    const found = await diagnoseAll(port, options.changefeed);
    const now = Date.now();
    if (options.json) sayJson(found);
    else {
      say(`${where}, ${new Date(now).toLocaleString()}`);
      for (const { text, colour } of statusLines(found, now)) say(text, colour);
    }
    if (isStuck(found, options.failAfter, now)) process.exitCode = STUCK;
  });
}

/** A line and its colour on a terminal. */
export interface Line {
  readonly text: string;
  readonly colour?: Colour;
}

/** One line for each changefeed, and what to type next. @param now milliseconds since 1970 */
export function statusLines(found: readonly ChangefeedDiagnosis[], now: number): Line[] {
  if (found.length === 0) return [{ text: "No changefeed has registered yet." }];
  const lines = found.map((one): Line => ({ text: headline(one, now), colour: colourOf(one) }));
  const [worst] = found;
  if (worst && worst.verdict.kind !== "nothing-open")
    lines.push({ text: `Next: weir explain ${shellWord(worst.changefeed)}` });
  return lines;
}

/** Red: a barrier stands; yellow: something is wrong that holds nobody up, or goes on; green: nothing. */
function colourOf({ worst, findings, verdict }: ChangefeedDiagnosis): Colour {
  if (worst) return verdict.kind === "about-to-go-on" ? "yellow" : "red";
  return findings.length > 0 ? "yellow" : "green";
}
