import type { Mutant } from "./mutant.ts";

/** Faults in what old nodes are told where a DDL and a syncpoint have one commitTs (protocol.md M21). */
export const ONE_COMMITTS: readonly Mutant[] = [
  {
    id: "old-writer-passes",
    rule: "the writer of an old node gets no Pass of the DDL that it wrote (protocol.md M21)",
    file: "src/maintainer/tell.ts",
    from: "if (roster.isOld(chunk.node) && !event.key.isSyncPoint)",
    to: "if (roster.isOld(chunk.node) && event.key.isSyncPoint)",
  },
  {
    id: "gone-on-and-told",
    rule: "nobody of an old node is told of a DDL who waits for the syncpoint at its commitTs (protocol.md M21)",
    file: "src/maintainer/goneon.ts",
    from: "if (isSyncPoint || !(yield* anyOld(session, targets))) return targets;",
    to: "return targets;",
  },
  {
    id: "late-copy-passes",
    rule: "a WAITING of a closed DDL is answered with Pass only for a life that came after (protocol.md M21)",
    file: "src/maintainer/goneon.ts",
    from: "if (parseKeyText(key).isSyncPoint || !(yield* anyOld(session, lives))) return lives;",
    to: "return lives;",
  },
  {
    id: "copy-passes",
    rule: "an old node's WAITING is not answered with a Pass that was sent to it already (protocol.md M21)",
    file: "src/maintainer/goneon.ts",
    from: "if (parseKeyText(key).isSyncPoint || !(yield* anyOld(session, targets))) return targets;",
    to: "return targets;",
  },
  {
    id: "left-out-and-reached",
    rule: "a Pass by influence would reach who is left out: names instead (protocol.md M21)",
    file: "src/maintainer/outbox.ts",
    from: "all > 1 && told >= all",
    to: "all > 1",
  },
  {
    id: "past-a-syncpoint",
    rule: "an old node's dispatcher that is past a syncpoint does not prove that it was written (protocol.md M21)",
    file: "src/maintainer/progress.ts",
    from: "event.key.isSyncPoint && roster.isOld(life.node)",
    to: "event.key.isSyncPoint && false",
  },
  {
    id: "starts-behind-a-syncpoint",
    rule: "of old nodes only the table trigger's start behind a syncpoint proves that it was written (protocol.md M21)",
    file: "src/barrier/coverage.ts",
    from: "return !key.isSyncPoint || life.tableId === TRIGGER_TABLE || !roster.isOld(life.node);",
    to: "return true;",
  },
];
