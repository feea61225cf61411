import type { Command } from "commander";
import type { BarrierDiagnosis, ChangefeedDiagnosis, Verdict } from "../diagnosis/verdict.ts";
import { barrierTitle, headline, wordsOf } from "../diagnosis/words.ts";
import { printable } from "../error/printable.ts";
import {
  type DiagnosisOptions,
  diagnoseAll,
  isStuck,
  STUCK,
  theOnly,
  withDiagnosisOptions,
  withPort,
} from "./diagnosed.ts";
import { Problem } from "./problem.ts";
import { say, sayJson } from "./say.ts";

/** Barriers that are explained at once. */
const MOST = 5;

/** `weir explain`: the verdict, what it rests on, and what to type next. */
export function registerExplain(program: Command): void {
  withDiagnosisOptions(
    program
      .command("explain")
      .description("what holds a changefeed or a barrier up, what that rests on, and what to do next")
      .argument("[changefeed]", "any part of its name that no other has (default: the worst one)")
      .argument("[key]", "a barrier, by its key or commitTs (default: the worst ones)"),
  ).action(explain);
}

async function explain(
  part: string | undefined,
  key: string | undefined,
  options: DiagnosisOptions,
): Promise<void> {
  await withPort(options, async (port, where) => {
    const only = part === undefined ? undefined : theOnly(await port.listSpaces(), part).text;
    const [found] = await diagnoseAll(port, only);
    const now = Date.now();
    if (found === undefined) throw new Problem("no changefeed has registered yet", 1);
    const chosen = key === undefined ? found : onlyBarrier(found, key);
    if (options.json) sayJson({ ...chosen, words: explanation(chosen, now) });
    else {
      say(`${where}, ${new Date(now).toLocaleString()}`);
      for (const line of explanationLines(chosen, now)) say(line);
    }
    if (isStuck([chosen], options.failAfter, now)) process.exitCode = STUCK;
  });
}

/** The diagnosis with one of its barriers. @throws Problem if it is not open */
export function onlyBarrier(found: ChangefeedDiagnosis, key: string): ChangefeedDiagnosis {
  const of = found.barriers.filter((one) => one.key === key || one.commitTs === key);
  if (of.length === 1) return { ...found, barriers: of, worst: of[0]!, verdict: of[0]!.verdict };
  const names = (of.length > 1 ? of : found.barriers).map((one) => `\n  ${one.key}`).join("");
  throw new Problem(
    of.length > 1
      ? `a DDL and a syncpoint have the commitTs ${printable(key)}, name one:${names}`
      : `no barrier ${printable(key)} is open in ${found.changefeed}; open are:${names || " none"}`,
  );
}

interface Explained {
  readonly title: string;
  readonly causes: readonly { readonly sentence: string; readonly evidence: readonly string[] }[];
  readonly next: readonly string[];
}

/** Each barrier, or the changefeed itself, in words. */
function explanation(found: ChangefeedDiagnosis, now: number): Explained[] {
  const about = { changefeed: found.changefeed, now };
  const explained = (title: string, verdicts: readonly Verdict[]): Explained => {
    const words = verdicts.map((verdict) => wordsOf(verdict, about));
    return {
      title,
      causes: words.map(({ sentence, evidence }) => ({ sentence, evidence })),
      next: [...new Set(words.flatMap((one) => one.next))],
    };
  };
  const of = found.barriers.slice(0, MOST).map((one): Explained => {
    const { title, causes, next } = explained(titleOf(one, now), [one.verdict, ...one.also]);
    const former = formerWriterText(one).map((sentence) => ({ sentence, evidence: [] }));
    return { title, causes: [...causes, ...former], next };
  });
  // What a barrier says already is not said again.
  const said = new Set(
    found.barriers.flatMap((one) => [one.verdict.kind, ...one.also.map(({ kind }) => kind)]),
  );
  const own = found.findings.filter(
    ({ kind }) => !said.has(kind) && !(kind === "not-created" && said.has("hole")),
  );
  if (own.length > 0) of.push(explained("the changefeed", own));
  return of;
}

/** Nothing, or that somebody may have applied the event already. */
function formerWriterText({ formerWriter: gone }: BarrierDiagnosis): string[] {
  if (gone === undefined) return [];
  const who = `dispatcher ${gone.dispatcher} on node ${printable(gone.node)}`;
  return [`${who} was granted Write and is gone: the event may be applied downstream already`];
}

function titleOf(barrier: BarrierDiagnosis, now: number): string {
  const opened = new Date(barrier.openedAt).toLocaleString();
  return `${barrierTitle(barrier, now)} (opened ${opened}, ${barrier.reported} of ${barrier.expected} reported)`;
}

/** What `weir explain` prints. @param now milliseconds since 1970 */
export function explanationLines(found: ChangefeedDiagnosis, now: number): string[] {
  const all = explanation(found, now);
  if (all.length === 0) return [headline(found, now)];
  const more = found.barriers.length - Math.min(MOST, found.barriers.length);
  return [
    `${printable(found.changefeed)}  epoch ${found.epoch}, ${found.dispatchers} dispatchers on ${found.nodes.length} nodes`,
    ...all.flatMap(({ title, causes, next }) => [
      `  ${title}`,
      ...causes.flatMap(({ sentence, evidence }) => [
        `    ${sentence}`,
        ...evidence.map((text) => `      - ${text}`),
      ]),
      ...next.map((text) => `    > ${text}`),
    ]),
    ...(more > 0 ? [`  and ${more} more open barriers: weir barriers`] : []),
  ];
}
