import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  CHUNK_BYTES,
  LIVES_PER_CHUNK,
  MAX_DROPPED,
  MAX_ENDED,
  MAX_NODES,
  PAST_BYTES,
  ROUTES_PER_CHUNK,
  TABLES_PER_CHUNK,
} from "../../barrier/chunk-room.ts";
import { FAILURE_EVERY } from "../../barrier/membership.ts";
import { MAX_GRANTS } from "../../barrier/step.ts";
import { MAX_STAMPS } from "../../storage/dynamodb/barrier-item.ts";
import { KEPT_BYTES, KEPT_ITEM_BYTES } from "../intake/early-limits.ts";
import { MAX_NODE_ID } from "../intake/envelope.ts";
import { MAX_FAILURE, MAX_KEY } from "../intake/membership.ts";
import { COLLECTED_AT_ONCE, MAX_FORMER } from "../roster/former-epochs.ts";
import { DEFAULT_SETTINGS } from "../session/session.ts";
import { INLINE_EVENT } from "../steps/open.ts";
import {
  COLLECT_EVERY,
  EVENT_SHARE,
  GRANT_SHARE,
  ITEM_BYTES,
  MAX_CONFLICT,
  MAX_SUPERSEDED_MARKS,
  MAX_UNREACHABLE,
  OPEN_SHARE,
  ROUTES_SHARE,
} from "./bounds.ts";
import { MAX_SPACE } from "./space.ts";

const percent = (share: number) => `${share * 100} %`;

it("the table of bounds says what the code has", () => {
  const text = readFileSync(new URL("../../../docs/bounds.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| ([^|]+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$/gm)];
  expect(Object.fromEntries(rows.slice(1).map(([, what, bound]) => [what, bound]))).toEqual({
    root: `${percent(OPEN_SHARE.highest)} to ${percent(OPEN_SHARE.lowest)} of the item`,
    "root: grants of a barrier": `${MAX_GRANTS}`,
    "root: grants in a full root": `${percent(GRANT_SHARE)} of the item`,
    "root: event of a barrier": `${INLINE_EVENT} bytes`,
    "root: reason of a route conflict": `${MAX_CONFLICT} bytes`,
    "root: former epochs": `${MAX_FORMER}`,
    "sweep: items of former epochs": `${COLLECTED_AT_ONCE} in one sweep`,
    "changefeeds that are swept": `${DEFAULT_SETTINGS.retireAfter / (24 * 3600 * 1000)} days of silence`,
    "barrier: event": `${percent(EVENT_SHARE)} of the item`,
    "barrier: route changes": `${percent(ROUTES_SHARE)} of the item`,
    "barrier: marks": `${MAX_SUPERSEDED_MARKS} superseded ones`,
    "barrier: queues that are gone": `${MAX_UNREACHABLE}`,
    "barrier and tally: stamps": `${MAX_STAMPS}`,
    "roster chunk": `${CHUNK_BYTES / 1024} KB of them, or ${LIVES_PER_CHUNK}, ${TABLES_PER_CHUNK.toLocaleString("en")}, and ${ROUTES_PER_CHUNK} routes`,
    "roster chunk: ended lives, dropped tables": `${PAST_BYTES / 1024} KB of them`,
    "roster: ended lives": MAX_ENDED.toLocaleString("en"),
    "roster: dropped tables": MAX_DROPPED.toLocaleString("en"),
    "roster: nodes": MAX_NODES.toLocaleString("en"),
    "chunk versions that no root points to": `${COLLECT_EVERY.toLocaleString("en")} minutes`,
    "node: what it says is wrong": `${MAX_FAILURE} bytes, and one write for a node in ${FAILURE_EVERY / 1000} s`,
    "key of a span": `${MAX_KEY.toLocaleString("en")} bytes`,
    "kept reports": `${KEPT_ITEM_BYTES / 1024} KB`,
    "kept reports, all": `${KEPT_BYTES / 1024 ** 2} MB`,
    "space in a key": `${MAX_SPACE} bytes`,
    "node id": `${MAX_NODE_ID} bytes`,
  });
  expect(text).toContain(`items of up to ${ITEM_BYTES / 1024} KB`);
});
