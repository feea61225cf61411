import type { RosterDraft } from "./draft.ts";
import type { BlockEvent } from "./event.ts";
import { isPast, TRIGGER_TABLE } from "./event.ts";
import { nextAssignedLife, Placement } from "./placement.ts";
import type { Life, TableEntry } from "./roster.ts";

/** What applying an event did, beside the draft: whom somebody has to tell. */
export interface Applied {
  /** Lives of dropped tables: their dispatchers have nothing left to do. */
  readonly removed: readonly Life[];
  /** Tables that now need dispatchers. */
  readonly added: readonly TableEntry[];
}

/**
 * Applies the roster changes of a written event: drops, then adds, then schema changes (protocol.md M10). The caller
 * has seen to the order of events. Applying it to a roster that already has the change does nothing.
 */
export function applyEvent(draft: RosterDraft, event: BlockEvent): Applied {
  if (isPast(draft.meta.openedAt ?? 0n, event.key)) return applyBehind(draft, event);
  const since = event.key.commitTs;
  const removed: Life[] = [];
  const { drop } = event;
  if (drop) {
    const dropped = new Set<bigint>();
    for (const table of [...draft.tables()])
      if (drop.type === "DB" ? table.schemaId === drop.schemaId : drop.tableIds.has(table.tableId))
        dropped.add(table.tableId);
    const gone = (life: Life) =>
      life.tableId !== TRIGGER_TABLE &&
      (drop.type === "DB"
        ? life.schemaId === drop.schemaId
        : drop.tableIds.has(life.tableId) || dropped.has(life.tableId));
    for (const life of [...draft.lives()].filter(gone)) {
      draft.endLife(life.id, life.life, "dropped");
      removed.push(life);
    }
    for (const tableId of dropped) draft.dropTable(tableId, since);
  }

  const added: TableEntry[] = [];
  const placement = new Placement(draft);
  for (const { tableId, schemaId } of event.add) {
    if (draft.table(tableId)) continue;
    // An opening may name what an event below it had added, and that event comes again when the table has gone since.
    if ((draft.base.dropped.get(tableId)?.droppedBy ?? 0n) >= since) continue;
    const node = placement.next();
    const table: TableEntry = {
      tableId,
      schemaId,
      since,
      schemaSince: 0n,
      ...(node && {
        scheduled: { node: node.id, life: nextAssignedLife(draft, undefined, undefined), at: draft.now },
      }),
    };
    draft.putTable(table);
    added.push(table);
  }

  for (const { tableId, newSchemaId } of event.schemaChanges) draft.moveTable(tableId, newSchemaId, since);
  return { removed, added };
}

/**
 * protocol.md R1b: an event from before the opening of this epoch, which a dispatcher that starts below it meets again: what it did to the tables
 * is in the opening. Dispatchers of tables that the opening does not name follow it to where their table goes.
 */
function applyBehind(draft: RosterDraft, { key, drop, schemaChanges }: BlockEvent): Applied {
  const unnamed = [...draft.lives()].filter(
    (life) => life.tableId !== TRIGGER_TABLE && draft.table(life.tableId) === undefined,
  );
  const removed = unnamed.filter((life) =>
    drop?.type === "DB" ? life.schemaId === drop.schemaId : drop?.tableIds.has(life.tableId) === true,
  );
  for (const { id, life } of removed) draft.endLife(id, life, "dropped");
  for (const { tableId, newSchemaId } of schemaChanges)
    if (draft.table(tableId) === undefined) draft.moveTable(tableId, newSchemaId, key.commitTs);
  return { removed, added: [] };
}
