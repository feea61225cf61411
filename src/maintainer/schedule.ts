/** Who is told to create and remove dispatchers (protocol.md M10): the node, or the deployment's one scheduler. */
import { createHash } from "node:crypto";
import type { Applied } from "../barrier/apply.ts";
import type { Roster, TableEntry } from "../barrier/roster.ts";
import type { Encoding } from "../protocol/codec.ts";
import { parseKeyText } from "../protocol/eventkey.ts";
import type { Program } from "./program.ts";
import type { Session } from "./session.ts";

/** Where `ScheduleDispatcherRequest` goes for a node; undefined: nobody can be told. */
export function schedulerQueue(
  session: Session,
  roster: Roster,
  node: string | undefined,
): { readonly name: string; readonly encoding: Encoding } | undefined {
  const { schedulerQueue: one } = session.settings;
  if (one) return { name: one, encoding: "json" };
  const entry = node === undefined ? undefined : roster.nodes.get(node);
  return entry && entry.nodeQueue !== "" ? { name: entry.nodeQueue, encoding: entry.encoding } : undefined;
}

/** Tells those who schedule what an applied event needs of them (protocol.md M10). */
export function* tellScheduler(session: Session, key: string, applied: Applied): Program<void> {
  const roster = yield* session.roster();
  for (const life of applied.removed) {
    const queue = schedulerQueue(session, roster, life.node);
    if (queue) session.outbox.removeDispatcher(queue.name, queue.encoding, life);
  }
  for (const table of applied.added) tellCreate(session, roster, table, parseKeyText(key).commitTs);
}

/** Asks again for dispatchers of tables that an event added and that nobody has registered (protocol.md M10). */
export function* missingTables(session: Session): Program<void> {
  const roster = yield* session.roster();
  const lost = new Set([...roster.lost()].map((one) => one.lost.was.tableId));
  // One that had a dispatcher and lost it is asked for as it was.
  for (const table of roster.tables.values())
    if (table.since > 0n && roster.ofTable(table.tableId).length === 0 && !lost.has(table.tableId))
      tellCreate(session, roster, table, table.since);
}

/** Asks for a table's dispatcher. Asking again names the same dispatcher. */
function tellCreate(session: Session, roster: Roster, table: TableEntry, startTs: bigint): void {
  const queue = schedulerQueue(session, roster, table.scheduledOn);
  if (queue === undefined) return;
  const id = createHash("sha256")
    .update(`${session.space.text} ${session.root!.epoch} ${table.tableId}`)
    .digest("hex")
    .slice(0, 32);
  session.outbox.createDispatcher(queue.name, queue.encoding, {
    id,
    tableId: table.tableId,
    schemaId: table.schemaId,
    start: new Uint8Array(),
    end: new Uint8Array(),
    startTs,
    skipDMLAsStartTs: false,
    move: false,
  });
}
