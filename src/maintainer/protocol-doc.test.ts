/** The numbers that the rules of docs/protocol/ name are those of the code. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { MAX_DROPPED, MAX_ENDED, MAX_NODES } from "../barrier/chunk-room.ts";
import { MAX_PARTS } from "../barrier/opening.ts";
import { MAX_NUMBER } from "../barrier/plausible.ts";
import { MAX_GRANTS } from "../barrier/step.ts";
import { REPEAT_MS, SLOW_REPEAT_MS } from "../dispatcher/machine.ts";
import { MAX_UNREACHABLE, OPEN_SHARE } from "./base/bounds.ts";
import { MAX_SPACE } from "./base/space.ts";
import { KEPT_BYTES } from "./intake/early-limits.ts";
import { MAX_NODE_ID } from "./intake/envelope.ts";
import { MAX_KEY } from "./intake/membership.ts";
import { DEFAULT_SETTINGS } from "./session/session.ts";

const DAY = 24 * 3600 * 1000;
const read = (name: string) =>
  readFileSync(new URL(`../../docs/protocol/${name}.md`, import.meta.url), "utf8");
const pages = ["messages", "roster", "dispatcher", "maintainer", "recovery"].map(read).join("\n");
const many = (count: number) => count.toLocaleString("en");
const { rememberFor, reassignAfter, recreateAfter, repeatAfter, retireAfter, sendsAtOnce } = DEFAULT_SETTINGS;

/** What stands between the heading of a rule or section and the next one, on one line. */
function said(id: string): string {
  const at = pages.search(new RegExp(`^##+ (?:<a id="${id.toLowerCase()}"></a>${id}:|${id} )`, "m"));
  expect(at, `${id} is not there`).toBeGreaterThanOrEqual(0);
  return pages
    .slice(at + 3)
    .split(/^##/m)[0]!
    .replace(/\s+/g, " ");
}

it.each([
  ["1.5", `at most ${MAX_NODE_ID} bytes`],
  ["1.5", `at most ${many(MAX_PARTS)}`],
  ["R1a", `at most ${many(MAX_PARTS)} parts`],
  ["R2", `more than ${MAX_SPACE} bytes`],
  ["R2", `more than ${many(MAX_KEY)} bytes`],
  ["R4", `2^${(MAX_NUMBER + 2n).toString(2).length - 1} - 2`],
  ["R6", `keeps ${KEPT_BYTES / 1024 / 1024} MB`],
  ["R9b", `at most ${MAX_UNREACHABLE} of them`],
  ["R11", `for ${["no", "one", "two", "three"][reassignAfter / 60_000]} minutes`],
  ["R11", `has ${recreateAfter === 60_000 ? "a minute" : recreateAfter} to register its own again`],
  ["R12", `after ${rememberFor / DAY} days, or the oldest of more than ${many(MAX_ENDED)}. A lost one`],
  ["R12", `after ${rememberFor / DAY} days, or the oldest of more than ${many(MAX_DROPPED)} |`],
  ["R12", `${many(MAX_NODES)} nodes`],
  ["R15", `for ${retireAfter / DAY} days`],
  ["D4", `every ${REPEAT_MS / 1000} s, after its ACK every ${SLOW_REPEAT_MS / 1000} s`],
  ["M6a", `remembers ${MAX_GRANTS} grants`],
  ["M18", `more than ${repeatAfter / 1000} s`],
  ["M20", `full at ${OPEN_SHARE.highest * 100} %, one below all of them at ${OPEN_SHARE.lowest * 100} %`],
  ["M22", `more than ${sendsAtOnce} messages`],
])("%s says %s", (id, text) => {
  expect(said(id)).toContain(text);
});
