import { toBinary } from "@bufbuild/protobuf";
import { WeirError } from "../error/weir-error.ts";
import { keyText } from "../protocol/event-key.ts";
import { type State, StateSchema } from "../protocol/messages.ts";
import { MessageRefused } from "./errors.ts";
import {
  type CaptureEvent,
  type DispatcherIdentity,
  entriesOf,
  type InfluencedTables,
  isTrigger,
} from "./event.ts";
import { reportState } from "./states.ts";
import { MAX_BODY_BYTES } from "./to-fit.ts";

/** Events of which equal copies are found again: dispatchers of a node come to few at a time. */
const KEPT = 16;
/** From so many list entries on it is looked whether a report of an event fits into a message. */
const LARGE = 500;
/** What a report says beside the event: a changefeed, and a dispatcher with its life. */
const REPORT_BYTES = 1_024;

interface Shared {
  /** All of an event but its payload, with lists of its own. */
  readonly described: Omit<CaptureEvent, "payload">;
  readonly states: Map<string, State>;
}

/**
 * Copies of events: what is repeated must say the same whatever its giver does with its lists (protocol.md D8). Thousands of
 * dispatchers come to one event, which may list thousands of tables: those that get equal ones share one copy, and its states.
 */
export class EventPool {
  readonly #known = new Map<string, Shared>();
  readonly #sharedOf = new WeakMap<CaptureEvent, Shared>();

  /**
   * @throws MessageRefused if a report of the event fits into no message
   * @throws WeirError `bad-input` if its lists are none: a program in JavaScript may give anything
   */
  copyOf<Payload>(event: CaptureEvent<Payload>): CaptureEvent<Payload> {
    const { payload, ...described } = event;
    const text = keyText(event.key);
    let shared = this.#known.get(text);
    if (shared === undefined || !isSame(shared.described, described)) {
      refuseMalformed(event);
      shared = { described: withOwnLists(described), states: new Map() };
      refuseTooLarge(shared.described);
      this.#known.delete(text);
      this.#known.set(text, shared);
      if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value!);
    }
    const copy = { ...shared.described, payload };
    this.#sharedOf.set(copy, shared);
    return copy;
  }

  /** The state that a WAITING or NONE report carries, made once for all who share the copy. It is not to be changed. */
  stateOf(copy: CaptureEvent, blocked: boolean, identity: DispatcherIdentity): State {
    const states = this.#sharedOf.get(copy)?.states;
    const kind = `${blocked} ${isTrigger(identity)}`;
    const known = states?.get(kind);
    if (known) return known;
    const state = reportState(copy, blocked, identity);
    states?.set(kind, state);
    return state;
  }
}

function refuseMalformed(event: CaptureEvent): void {
  const bad = (name: string, shape: string) =>
    new WeirError("bad-input", `event ${keyText(event.key)}: ${name} must be ${shape}, with bigints for ids`);
  for (const name of ["blockTables", "needDroppedTables"] as const)
    if (event[name] !== undefined && !isInfluence(event[name]))
      throw bad(name, '{ type: "all" }, { type: "schema", schemaId } or { type: "tables", tableIds }');
  if (!(event.needAddedTables ?? []).every((one) => areIds(one.tableId, one.schemaId)))
    throw bad("needAddedTables", "a list of { tableId, schemaId }");
  if (!(event.updatedSchemas ?? []).every((one) => areIds(one.tableId, one.oldSchemaId, one.newSchemaId)))
    throw bad("updatedSchemas", "a list of { tableId, oldSchemaId, newSchemaId }");
}

function isInfluence(tables: InfluencedTables): boolean {
  if (tables.type === "tables") return Array.isArray(tables.tableIds) && tables.tableIds.every(isId);
  return tables.type === "all" || (tables.type === "schema" && isId(tables.schemaId));
}

const isId = (id: unknown) => typeof id === "bigint";
const areIds = (...ids: readonly unknown[]) => ids.every(isId);

function refuseTooLarge(described: Omit<CaptureEvent, "payload">): void {
  if (entriesOf(described) < LARGE) return;
  const state = reportState({ ...described, payload: undefined }, true, { tableId: 0n, whole: true });
  // As base64, which a protobuf body is.
  const bytes = Math.ceil(toBinary(StateSchema, state).length / 3) * 4 + REPORT_BYTES;
  if (bytes > MAX_BODY_BYTES)
    throw new MessageRefused(
      `event ${keyText(described.key)} lists so many tables that a report of it is ${bytes} bytes long, and a queue takes ` +
        `${MAX_BODY_BYTES}: it cannot be split`,
    );
}

type Described = Omit<CaptureEvent, "payload">;

/** Numbers are taken over as they are: then comparing them with those of the same giver is cheap. */
function withOwnLists(described: Described): Described {
  const { blockTables, needDroppedTables, needAddedTables, updatedSchemas, routeAdmissions } = described;
  return {
    key: { ...described.key },
    ...(blockTables && { blockTables: withOwnIds(blockTables) }),
    ...(needDroppedTables && { needDroppedTables: withOwnIds(needDroppedTables) }),
    ...(needAddedTables && { needAddedTables: own(needAddedTables) }),
    ...(updatedSchemas && { updatedSchemas: own(updatedSchemas) }),
    ...(routeAdmissions && { routeAdmissions: own(routeAdmissions) }),
  };
}

function withOwnIds(tables: InfluencedTables): InfluencedTables {
  if (tables.type !== "tables") return { ...tables };
  const { tableIds: ids } = tables;
  return { ...tables, tableIds: Object.isFrozen(ids) ? ids : [...ids] };
}

/** A list that cannot change, nor its entries, is taken over as it is: who gets the same one again has nothing to compare. */
function own<Entry extends object>(list: readonly Entry[]): readonly Entry[] {
  return Object.isFrozen(list) && list.every((one) => Object.isFrozen(one))
    ? list
    : list.map((one) => ({ ...one }));
}

function isSame(a: Described, b: Described): boolean {
  return (
    isSameTables(a.blockTables, b.blockTables) &&
    isSameTables(a.needDroppedTables, b.needDroppedTables) &&
    isSameList(
      a.needAddedTables,
      b.needAddedTables,
      (x, y) => x.tableId === y.tableId && x.schemaId === y.schemaId && x.splittable === y.splittable,
    ) &&
    isSameList(
      a.updatedSchemas,
      b.updatedSchemas,
      (x, y) => x.tableId === y.tableId && x.oldSchemaId === y.oldSchemaId && x.newSchemaId === y.newSchemaId,
    ) &&
    isSameList(
      a.routeAdmissions,
      b.routeAdmissions,
      (x, y) =>
        x.sourceSchema === y.sourceSchema &&
        x.sourceTable === y.sourceTable &&
        x.targetSchema === y.targetSchema &&
        x.targetTable === y.targetTable &&
        x.action === y.action,
    )
  );
}

function isSameTables(a: InfluencedTables | undefined, b: InfluencedTables | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.type === "tables")
    return b.type === "tables" && isSameList(a.tableIds, b.tableIds, (x, y) => x === y);
  if (a.type === "schema") return b.type === "schema" && a.schemaId === b.schemaId;
  return a.type === b.type;
}

function isSameList<Entry>(
  a: readonly Entry[] | undefined,
  b: readonly Entry[] | undefined,
  isSameEntry: (x: Entry, y: Entry) => boolean,
): boolean {
  // The first is a list of the pool's own, or one that cannot change.
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (!isSameEntry(a[index]!, b[index]!)) return false;
  return true;
}
