import type { BlockEvent } from "./event.ts";
import { involvesTrigger, isPast, TRIGGER_TABLE, touches } from "./event.ts";
import type { DispatcherChunk, Life, Place, Roster } from "./roster.ts";

/**
 * Says that every life which the event needed from a chunk, in that version of the chunk, has reported: `17.3`. Lives
 * that the chunk got later are not spoken for (invariants.md S2).
 */
export type CompleteMark = string;

export function completeMark(chunk: Pick<DispatcherChunk, "id" | "version">): CompleteMark {
  return `${chunk.id}.${chunk.version}`;
}

/**
 * The versions of a chunk that are marked complete, up to the one that is asked about: later ones say nothing of lives that
 * had left by then.
 */
export function completeVersions(
  marks: ReadonlySet<CompleteMark>,
  chunk: Pick<DispatcherChunk, "id" | "version">,
): number[] {
  const prefix = `${chunk.id}.`;
  const versions: number[] = [];
  for (const mark of marks) {
    if (!mark.startsWith(prefix)) continue;
    const version = Number(mark.slice(prefix.length));
    if (version <= chunk.version) versions.push(version);
  }
  return versions;
}

/**
 * Marks that say nothing any more: of a chunk of the roster, all but its latest up to the present version, which says as
 * much; and those of chunks that have left it. What a later roster may have brought is left alone.
 */
export function supersededMarks(marks: ReadonlySet<CompleteMark>, roster: Roster): CompleteMark[] {
  const latest = new Map<number, number>();
  const read = [...marks].map((mark) => {
    const [id = 0, version = 0] = mark.split(".").map(Number);
    const present = roster.chunks.get(id)?.version ?? 0;
    if (version <= present) latest.set(id, Math.max(latest.get(id) ?? 0, version));
    return { mark, id, version };
  });
  return read
    .filter(({ id, version }) =>
      roster.chunks.has(id) ? version < (latest.get(id) ?? 0) : id < roster.meta.nextChunk,
    )
    .map(({ mark }) => mark);
}

/** What an event asks of one chunk. */
interface Touched {
  readonly required: readonly Life[];
  /** Its table was added later, or its life started behind the event, at the DDL's own commitTs too: it is written. */
  readonly witness: Life | undefined;
}

/** Chunks never change and an event is judged many times on the same ones, so each pair is looked at once. */
const touchedBy = new WeakMap<BlockEvent, WeakMap<DispatcherChunk, Touched>>();

function touchedIn(chunk: DispatcherChunk, event: BlockEvent): Touched {
  let chunks = touchedBy.get(event);
  if (chunks === undefined) {
    chunks = new WeakMap();
    touchedBy.set(event, chunks);
  }
  let touched = chunks.get(chunk);
  if (touched === undefined) {
    touched = lookAt(chunk, event);
    chunks.set(chunk, touched);
  }
  return touched;
}

function lookAt(chunk: DispatcherChunk, event: BlockEvent): Touched {
  const required: Life[] = [];
  let witness: Life | undefined;
  for (const life of chunk.lives) {
    if (!touches(event, life)) continue;
    if (!isPast(life.since, event.key)) required.push(life);
    else if (witness === undefined || life.tableId === TRIGGER_TABLE) witness = life;
  }
  return { required: required.length === chunk.lives.length ? chunk.lives : required, witness };
}

/** The lives of a chunk that an event touches and that do not have it behind them (protocol.md M4, R10). */
export function requiredLives(chunk: DispatcherChunk, event: BlockEvent): readonly Life[] {
  return touchedIn(chunk, event).required;
}

/** Whether a complete version of its chunk speaks for a life: it stood there then, and was touched then. */
export function spokenFor(life: Life, versions: readonly number[], event: BlockEvent): boolean {
  const from = event.influence.type === "DB" ? Math.max(life.addedAt, life.schemaAt) : life.addedAt;
  return versions.some((version) => from <= version);
}

/** The required lives of a chunk of which nothing proves that they reported. Empty: the chunk is complete. */
export function missingLives(
  required: readonly Life[],
  event: BlockEvent,
  reported: ReadonlySet<number>,
  versions: readonly number[],
): Life[] {
  return required.filter((life) => !reported.has(life.slot) && !spokenFor(life, versions, event));
}

/** What a barrier in phase waiting still lacks, or that it lacks nothing, or that it was written long ago. */
export type Coverage =
  | { readonly verdict: "covered"; readonly lives: number }
  /** Somebody whom the event touches is past it, so it was written (protocol.md M15). */
  | { readonly verdict: "past"; readonly witness: Life }
  | {
      readonly verdict: "missing";
      /** Chunks with required lives and no complete mark for their present version. */
      readonly chunks: readonly DispatcherChunk[];
      /** Tables that no set of spans covers (protocol.md R8, R9). */
      readonly tables: readonly bigint[];
      /** The table trigger takes part and has no current life (protocol.md M5). */
      readonly triggerGone: boolean;
      /** The opening has not come whole (protocol.md R1). */
      readonly unopened: boolean;
    };

/**
 * Judges a barrier in phase waiting on one roster (invariants.md I1; protocol.md M4, M5, R8 to R10).
 * @param marks the complete marks of phase waiting
 * @param lateTablesHold whether a listed table that the changefeed never had holds the barrier: true if an old node
 *   opened it, because its table may only be late (protocol.md R8)
 */
export function judgeWaiting(
  roster: Roster,
  event: BlockEvent,
  marks: ReadonlySet<CompleteMark>,
  lateTablesHold: boolean,
): Coverage {
  const chunks: DispatcherChunk[] = [];
  let lives = 0;
  for (const chunk of roster.dispatchers) {
    const { required, witness } = touchedIn(chunk, event);
    if (witness && roster.opened && provesWritten(roster, event, witness))
      return { verdict: "past", witness };
    lives += required.length;
    if (required.length > 0 && !marks.has(completeMark(chunk))) chunks.push(chunk);
  }
  const left = roster.opened ? leftBehind(roster, event) : undefined;
  if (left) return { verdict: "past", witness: left };
  const tables = uncoveredTables(roster, event, lateTablesHold);
  const trigger = involvesTrigger(event.influence) ? roster.trigger() : undefined;
  const triggerGone = involvesTrigger(event.influence) && trigger === undefined;
  const unopened = !roster.opened;
  if (chunks.length > 0 || tables.length > 0 || triggerGone || unopened)
    return { verdict: "missing", chunks, tables, triggerGone, unopened };
  return { verdict: "covered", lives };
}

/**
 * Whether a life that an event touches and that is past it proves that the event was written (protocol.md M15). A dispatcher of an
 * old node may have passed a syncpoint by what it was told of the DDL at the same commitTs. Only the table trigger writes a
 * syncpoint: its own start proves it, others' do not (protocol.md M21).
 */
export function provesWritten(
  roster: Roster,
  { key }: Pick<BlockEvent, "key">,
  life: Pick<Life, "node" | "tableId">,
): boolean {
  return !key.isSyncPoint || life.tableId === TRIGGER_TABLE || !roster.isOld(life.node);
}

/**
 * Whether a listed table was gone when the changefeed was opened: the event is from before that, and the opening does not name the
 * table. Then it cannot be late, and who carried its other parts is not there any more (protocol.md R1b, R8).
 */
function wasGone({ tables, meta }: Roster, { key }: Pick<BlockEvent, "key">, tableId: bigint): boolean {
  return tableId !== TRIGGER_TABLE && !tables.has(tableId) && isPast(meta.openedAt ?? 0n, key);
}

/**
 * A dispatcher that comes again to an event of a table that was gone at the opening. What dropped the table was behind all of its
 * dispatchers, and they were behind every event before it: so the event was written (protocol.md M15).
 */
function leftBehind(roster: Roster, event: BlockEvent): Life | undefined {
  if (event.influence.type !== "Normal") return undefined;
  for (const tableId of event.influence.tableIds)
    if (wasGone(roster, event, tableId)) {
      const [life] = roster.ofTable(tableId);
      if (life) return life;
    }
  return undefined;
}

/** The tables of an event that are expected and that no set of spans covers (protocol.md R8, R9, R10). */
function uncoveredTables(roster: Roster, event: BlockEvent, lateTablesHold: boolean): bigint[] {
  const { influence, key } = event;
  const uncovered: bigint[] = [];
  if (influence.type === "Normal") {
    for (const tableId of influence.tableIds) {
      if (tableId === TRIGGER_TABLE) continue;
      const known = roster.tables.get(tableId);
      if (known ? isPast(known.since, key) : wasGone(roster, event, tableId)) continue;
      if (known || roster.ofTable(tableId).length > 0) {
        if (roster.untiled().has(tableId)) uncovered.push(tableId);
      } else if (lateTablesHold && !roster.dropped.has(tableId)) uncovered.push(tableId);
    }
    return uncovered;
  }
  for (const tableId of roster.untiled()) {
    const known = roster.tables.get(tableId);
    if (known && isPast(known.since, key)) continue;
    const of = known ?? roster.ofTable(tableId)[0]!;
    if (touches(event, { ...of, tableId })) uncovered.push(tableId);
  }
  return uncovered;
}

/**
 * The chunks that hold a barrier in phase passing: with a required life, other than the writer, and no complete mark
 * (invariants.md I5). Gaps between spans hold nothing here: who comes later is told Pass by the tombstone (M17a).
 */
export function judgePassing(
  roster: Roster,
  event: BlockEvent,
  marks: ReadonlySet<CompleteMark>,
  writer: { readonly chunk: number; readonly slot: number } | undefined,
): DispatcherChunk[] {
  return roster.dispatchers.filter(
    (chunk) => !marks.has(completeMark(chunk)) && requiredToPass(chunk, event, writer).length > 0,
  );
}

/** The required lives of a chunk without the writer, who is done with its own DONE (protocol.md M8). */
export function requiredToPass(
  chunk: DispatcherChunk,
  event: BlockEvent,
  writer: { readonly chunk: number; readonly slot: number } | undefined,
): readonly Life[] {
  const required = requiredLives(chunk, event);
  return writer?.chunk === chunk.id ? required.filter((life) => life.slot !== writer.slot) : required;
}

/**
 * The writer of a covered barrier (protocol.md M6): the table trigger where it takes part, otherwise `preferred` (the
 * last that reported) if it is one of the required lives, otherwise the first of them.
 */
export function chooseWriter(
  roster: Roster,
  event: BlockEvent,
  preferred: Place | undefined,
): Place | undefined {
  const isCandidate = (life: Life) => touches(event, life) && !isPast(life.since, event.key);
  if (involvesTrigger(event.influence)) {
    const trigger = roster.trigger();
    return trigger && isCandidate(trigger.life) ? trigger : undefined;
  }
  if (preferred) {
    const now = roster.find(preferred.life.id);
    if (now && now.life.life === preferred.life.life && isCandidate(now.life)) return now;
  }
  for (const chunk of roster.dispatchers) {
    const life = chunk.lives.find(isCandidate);
    if (life) return { chunk, life };
  }
  return undefined;
}

/**
 * Whether the lives that an event touches are still those of a grant that was judged on roster version
 * `grantedOn` over `lives` of them (protocol.md M6a): none is newer, and none left.
 */
export function sameLives(roster: Roster, event: BlockEvent, grantedOn: number, lives: number): boolean {
  if (roster.version === grantedOn) return true;
  let count = 0;
  for (const chunk of roster.dispatchers)
    for (const life of requiredLives(chunk, event)) {
      if (!spokenFor(life, [grantedOn], event)) return false;
      count++;
    }
  return count === lives;
}
