/** Verdicts in words: a sentence, what it rests on, and what to type. Every name from outside is escaped here. */
import { printable } from "../error/printable.ts";
import { parseKeyText } from "../protocol/event-key.ts";
import type {
  AskedFor,
  BarrierDiagnosis,
  ChangefeedDiagnosis,
  Hole,
  MissingOnNode,
  Verdict,
} from "./verdict.ts";

/** What a verdict comes to for a reader. */
export interface Words {
  /** One sentence, without its full stop. */
  readonly sentence: string;
  readonly evidence: readonly string[];
  /** What to do next, the first thing first: commands, or a sentence. */
  readonly next: readonly string[];
}

/** What words need beside the verdict. `now`: milliseconds since 1970. */
export interface About {
  readonly changefeed: string;
  readonly now: number;
}

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
] as const;

/** How long something lasts already, coarsely: `41 s`, `12 min`, `3 h`, `9 d`. */
export function age(ms: number): string {
  const [size, unit] = UNITS.find(([least]) => ms >= least) ?? [1_000, "s"];
  return `${Math.max(0, Math.floor(ms / size))} ${unit}`;
}

/** A name as a word of a shell's command, whatever is in it. */
export function shellWord(name: string): string {
  if (/^[\w./:%@-]+$/.test(name)) return name;
  const shown = printable(name);
  if (shown === name) return `'${name.replaceAll("'", "'\\''")}'`;
  const escapes = name.replaceAll(/[\\']/g, "\\$&").replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\U${character.codePointAt(0)!.toString(16).padStart(8, "0")}`;
  });
  return `$'${escapes}'`;
}

export function keyName(text: string): string {
  const { commitTs, isSyncPoint } = parseKeyText(text);
  return `${isSyncPoint ? "syncpoint" : "DDL"} ${commitTs}`;
}

const node = (name: string) => `node ${printable(name)}`;
const some = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
const evict = (name: string, { changefeed }: About) =>
  `weir evict --node=${shellWord(name)} --changefeed ${shellWord(changefeed)}`;
const looks = "The next look at what is stored moves it: a report, or the sweep within a minute.";

/** A verdict in words. */
export function wordsOf(verdict: Verdict, about: About): Words {
  switch (verdict.kind) {
    case "nothing-open":
      return { sentence: "no barrier is open", evidence: [], next: [] };
    case "about-to-go-on":
      return {
        sentence: "nobody is missing, it is about to go on",
        evidence: ["judged on what is stored, as the coordinator judges"],
        next: [looks, "If it stays so: read the functions' logs for that key."],
      };
    case "not-opened":
      return notOpened(verdict);
    case "waits-for-earlier":
      return {
        sentence: `waits for the earlier ${keyName(verdict.earlier)}, which still has to change the roster`,
        evidence: [],
        next: [`weir explain ${shellWord(about.changefeed)} ${verdict.earlier}`],
      };
    case "route-conflict":
      return {
        sentence: `its routes conflict: ${printable(verdict.reason)}`,
        evidence: ["The event is never granted as it is, and no other event waits for it."],
        next: ["Mend the routing, then open the changefeed with a higher maintainer_epoch."],
      };
    case "trigger-gone":
      return {
        sentence: "there is no table trigger, which has to write or to report",
        evidence: [
          `the opening of ${node(verdict.openedBy)} named ${verdict.dispatcher ? `dispatcher ${verdict.dispatcher}` : "none"}, and nobody hosts it`,
        ],
        next: [
          `Start ${node(verdict.openedBy)} again with a higher start, so that it registers its table trigger.`,
          "If it is lost for good: open the changefeed on another node with a higher maintainer_epoch.",
        ],
      };
    case "hole":
      return hole(verdict, about);
    case "missing-dispatchers":
      return missing(verdict, about);
    case "writer-error":
    case "writer-silent":
      return writer(verdict, about);
    case "not-created":
      return {
        sentence: `${some(verdict.count, "dispatcher")} that nodes were asked for ${verdict.count === 1 ? "is" : "are"} not there`,
        evidence: verdict.asked.map((one) => `table ${one.tableId}: ${asked(one, about)}`),
        next: askedNext(verdict.asked, about),
      };
    case "kept-reports":
      return {
        sentence: "reports are kept of dispatchers that have not registered",
        evidence: verdict.nodes.map(
          ({ node: name, reports, oldest, registered }) =>
            `${node(name)}: ${some(reports, "message")}, the oldest from ${age(about.now - oldest)} ago; ${registered ? "it has registered other dispatchers" : "it has not registered at all"}`,
        ),
        next: ["Start that node again with a higher start, so that it registers what it hosts."],
      };
    case "unclear":
      return {
        sentence: "nothing that is stored explains it: this is a fault in Weir",
        evidence: [],
        next: ["Keep the output of weir explain --json, and open an issue."],
      };
  }
}

type Of<K extends Verdict["kind"]> = Extract<Verdict, { readonly kind: K }>;

function notOpened({ parts, expected }: Of<"not-opened">): Words {
  return {
    sentence: "the changefeed is not opened",
    evidence: [
      expected === 0
        ? "no MaintainerPostBootstrapRequest has come in this epoch"
        : `${parts} of ${expected} parts of the opening have come`,
    ],
    next: [
      "Look at the table trigger's node: it sends the opening, and repeats it until it is answered.",
      "If it sent it: look at the dead-letter queue for what was refused, and why.",
    ],
  };
}

function hole({ tables, count }: Of<"hole">, about: About): Words {
  const whose = tables.length === 1 && count === 1 ? `table ${tables[0]!.tableId}` : some(count, "table");
  return {
    sentence: `no dispatcher for ${tables.every((one) => one.dispatchers === 0) ? "" : "a part of "}${whose}`,
    evidence: tables.map((one) => `table ${one.tableId}: ${holeText(one, about)}`),
    next: askedNext(
      tables.flatMap((one) => one.asked),
      about,
    ),
  };
}

function holeText({ dispatchers, asked: of }: Hole, about: About): string {
  const there =
    dispatchers === 0 ? "nobody hosts it" : `${some(dispatchers, "dispatcher")}, and a gap between them`;
  return [there, ...of.map((one) => asked(one, about))].join("; ");
}

function asked({ dispatcher, node: name, since }: AskedFor, { now }: About): string {
  const what = dispatcher === undefined ? "" : `dispatcher ${dispatcher} was lost; `;
  const when = since === undefined ? "" : `, ${age(now - since)} ago`;
  if (name === undefined) return `${what}nobody was asked for it yet`;
  return `${what}${name === "" ? "the scheduler" : node(name)} was asked to create it${when}`;
}

function askedNext(of: readonly AskedFor[], about: About): string[] {
  const [name] = of.flatMap((one) => (one.node ? [one.node] : []));
  if (name === undefined)
    return ["Look at who creates dispatchers: it has to register one for each part of each table."];
  return [
    `Look at ${node(name)}: does it obey ScheduleDispatcherRequest? It is sent again every minute.`,
    `If it is lost for good: ${evict(name, about)}`,
  ];
}

function missing({ nodes, count, expected }: Of<"missing-dispatchers">, about: About): Words {
  const names = nodes.slice(0, 3).map((one) => `${one.count} on ${printable(one.node)}${gone(one)}`);
  const more = nodes.length > 3 ? ` and ${some(nodes.length - 3, "more node")}` : "";
  const lost = nodes.find((one) => one.queueGone);
  return {
    sentence: `${count} of ${expected} dispatchers have not reported: ${names.join(", ")}${more}`,
    evidence: nodes.map(missingText),
    next: [
      lost
        ? `If ${node(lost.node)} is lost for good: ${evict(lost.node, about)}`
        : `Look at ${node(nodes[0]!.node)}: does it run, is it behind, does its sink answer?`,
      lost
        ? "If not: start it again with a higher start."
        : `If it is lost for good: ${evict(nodes[0]!.node, about)}`,
    ],
  };
}

const gone = ({ queueGone }: { readonly queueGone: boolean }) => (queueGone ? " (its queue is gone)" : "");

function missingText(one: MissingOnNode): string {
  const ids = one.dispatchers.map(({ dispatcher, tableId }) => `${dispatcher} (table ${tableId})`);
  const more = one.count > ids.length ? ` and ${one.count - ids.length} more` : "";
  const error = one.error === undefined ? "" : `; it says: ${printable(one.error)}`;
  return `${node(one.node)}${gone(one)}: ${ids.join(", ")}${more}${error}`;
}

function writer(verdict: Of<"writer-error" | "writer-silent">, about: About): Words {
  const { dispatcher, node: name, tableId, since } = verdict;
  const who = `the writer on ${node(name)}${gone(verdict)}`;
  const lasts = age(about.now - since);
  return {
    sentence:
      verdict.kind === "writer-error"
        ? `${who} says: ${printable(verdict.error)}`
        : `${who} has not said DONE for ${lasts}`,
    evidence: [
      `dispatcher ${dispatcher} of table ${tableId} was granted Write ${lasts} ago`,
      ...(verdict.kind === "writer-error" && verdict.errorAt > 0
        ? [`it said so ${age(about.now - verdict.errorAt)} ago`]
        : []),
      "Whether it works on the event or is dead is not stored.",
    ],
    next: [
      `Look at ${node(name)}, and downstream (ADMIN SHOW DDL JOBS, SHOW PROCESSLIST): the event may be applied.`,
      "While it works: wait. If the node is dead: start it again.",
      `Only if it is lost for good, and downstream was looked at: ${evict(name, about)}`,
    ],
  };
}

/** One line for a changefeed: what is worst, since when, and why. */
export function headline(diagnosis: ChangefeedDiagnosis, now: number): string {
  const { changefeed, worst, verdict } = diagnosis;
  const about = { changefeed, now };
  const others = diagnosis.barriers.length - 1;
  const more = others > 0 ? ` (and ${others} more open)` : "";
  const retired = diagnosis.retired ? "; retired: it is not swept" : "";
  const what = worst ? barrierLine(worst, about) : wordsOf(verdict, about).sentence;
  return `${printable(changefeed)}  ${what}${more}${retired}`;
}

/** One line for a barrier. */
export function barrierLine(barrier: BarrierDiagnosis, about: About): string {
  return `${barrierTitle(barrier, about.now)}: ${wordsOf(barrier.verdict, about).sentence}`;
}

/** Which barrier, and since when it stands: `DDL 100 waiting since 41 s`. */
export function barrierTitle({ key, phase, since }: BarrierDiagnosis, now: number): string {
  return `${keyName(key)} ${phase} since ${age(now - since)}`;
}
