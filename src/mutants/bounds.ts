import type { Mutant } from "./mutant.ts";

/** Faults in what happens before an item is full (docs/bounds.md, decisions/0030). */
export const BOUNDS: readonly Mutant[] = [
  {
    id: "root-opens-until-full",
    rule: "a root that nears its bound opens no further barrier (decision 0030)",
    file: "src/maintainer/bounds.ts",
    from: "return taken <= share * itemBytes;",
    to: "return taken > 0;",
  },
  {
    id: "full-root-shuts-out-the-lowest",
    rule: "the lower a key is, the more room there is for it (decision 0030; design.md I6)",
    file: "src/maintainer/bounds.ts",
    from: "if (other > key) above++;",
    to: "if (other < key) above++;",
  },
  {
    id: "nothing-set-aside-for-grants",
    rule: "what an open barrier may still come to is set aside (decision 0030)",
    file: "src/maintainer/bounds.ts",
    from: "taken += yetToCome(open, nodeBytes);",
    to: "",
  },
  {
    id: "full-root-acknowledges",
    rule: "who waits for room is not acknowledged (decision 0030; protocol.md M7)",
    file: "src/maintainer/waiting.ts",
    from: 'if ("full" in found) return;\n  if ("closed" in found) return late(session, key, placed);',
    to: 'if ("full" in found) return session.outbox.ack(key, lives);\n  if ("closed" in found) return late(session, key, placed);',
  },
  {
    id: "registered-state-without-room-is-lost",
    rule: "a block state that a registration says once is not dropped for want of room (decision 0030; protocol.md M14)",
    file: "src/maintainer/registered.ts",
    from: 'if ("full" in found)\n    throw new Error(',
    to: 'if ("full" in found) return;\n  if (session.space.text === "")\n    throw new Error(',
  },
  {
    id: "grants-without-end",
    rule: "a barrier remembers a bounded number of grants (decision 0030)",
    file: "src/barrier/step.ts",
    from: "while (grants.length > most) grants.splice(leastNeeded(grants), 1);",
    to: "",
  },
  {
    id: "forgotten-grants-uncounted",
    rule: "a step is known by how many grants it had, the forgotten ones too (decision 0030; design.md I2)",
    file: "src/barrier/step.ts",
    from: "return grants.length + forgotten;",
    to: "return grants.length + 0 * forgotten;",
  },
  {
    id: "later-marks-dropped",
    rule: "of a chunk only marks are dropped that a later one says as much as (decision 0030)",
    file: "src/barrier/coverage.ts",
    from: "roster.chunks.has(id) ? version < (latest.get(id) ?? 0) : id < roster.meta.nextChunk,",
    to: "version <= (latest.get(id) ?? Infinity),",
  },
  {
    id: "huge-event-opens",
    rule: "an event for which its barrier has no room is refused with the reason (decision 0030; design.md I10)",
    file: "src/maintainer/intake.ts",
    from: "if (bytes.length > EVENT_SHARE * itemBytes)",
    to: "if (bytes.length > 1e9 * itemBytes)",
  },
];
