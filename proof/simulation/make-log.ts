import { Dice } from "../../src/chance/dice.ts";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { StorageDefinition, StorageRow } from "../../src/dispatcher/storage-sink.ts";
import type { SimulationOptions } from "./options.ts";
import {
  type EventKind,
  KEYS,
  type LogEvent,
  type LogTable,
  type Schema,
  type Workload,
} from "./workload.ts";

/** A TiDB timestamp: beyond what a JavaScript number holds. */
const FIRST_TS = 462_406_916_505_600_000n;
const STEP_TS = 1_000n;

/** Makes a log of all kinds of barriers from a seed. */
export function makeWorkload(options: SimulationOptions, mode = 0n): Workload {
  return new Maker(options, mode).make();
}

class Maker {
  readonly #dice: Dice;
  readonly #options: SimulationOptions;
  readonly #mode: bigint;
  readonly #tables = new Map<bigint, LogTable>();
  readonly #events: LogEvent[] = [];
  #schemas: Schema[] = [];
  #nextTable = 100n;
  #nextSchema = 1n;
  #ts = FIRST_TS;
  #at = 0;
  #rows = 0;

  /** @param mode 0 default, 1 redo */
  constructor(options: SimulationOptions, mode: bigint) {
    this.#mode = mode;
    this.#options = options;
    this.#dice = new Dice(options.seed, "workload");
  }

  make(): Workload {
    const dice = this.#dice;
    for (let count = 0; count < 3; count++) this.#newSchema();
    const tables = Math.max(2, Math.min(6, Math.floor((this.#options.dispatchers - 1) / 2)));
    for (let count = 0; count < tables; count++) this.#newTable(dice.pick(this.#schemas), 0n, undefined);
    const opening = this.#schemas.map((schema) => ({
      schemaId: schema.id,
      name: schema.name,
      tables: this.#live
        .filter((table) => table.schema === schema)
        .map((table) => ({ tableId: table.tableId, name: table.name })),
    }));
    while (this.#events.length < this.#options.barriers) {
      this.#someRows();
      this.#someEvent();
    }
    this.#someRows();
    return {
      opening,
      tables: this.#tables,
      events: this.#events,
      rows: this.#rows,
      duration: this.#at,
    };
  }

  get #live(): LogTable[] {
    return [...this.#tables.values()].filter((table) => table.droppedBy === undefined);
  }

  #newSchema(): Schema {
    const schema = { id: this.#nextSchema, name: `s${this.#nextSchema}` };
    this.#nextSchema++;
    this.#schemas.push(schema);
    return schema;
  }

  #newTable(schema: Schema, since: bigint, addedBy: LogEvent | undefined, name?: string): LogTable {
    const tableId = this.#nextTable++;
    const table: LogTable = {
      tableId,
      name: name ?? `t${tableId}`,
      since,
      addedBy,
      items: [],
      born: schema.id,
      droppedBy: undefined,
      schema,
      version: since === 0n ? FIRST_TS : since,
    };
    this.#tables.set(tableId, table);
    return table;
  }

  #tick(): void {
    this.#ts += STEP_TS;
    this.#at += this.#dice.between(20, 400);
  }

  #someRows(): void {
    for (const table of this.#dice.shuffle(this.#live)) {
      if (this.#dice.chance(0.25)) continue;
      this.#tick();
      // Rows of one transaction share their commitTs.
      for (let count = 1 + this.#dice.below(4); count > 0; count--) this.#row(table);
    }
  }

  #row(table: LogTable): void {
    const key = this.#dice.below(KEYS);
    const row: StorageRow = {
      schema: table.schema.name,
      table: table.name,
      version: table.version,
      text: `{"row":${this.#rows++},"id":${key},"commitTs":${this.#ts}}`,
    };
    table.items.push({ row: { tableId: table.tableId, commitTs: this.#ts, key, row, at: this.#at } });
  }

  #someEvent(): void {
    const dice = this.#dice;
    const roll = dice.next();
    if (roll < 0.2) {
      this.#tick();
      if (dice.chance(0.5)) for (const table of this.#live.slice(0, 2)) this.#row(table);
      this.#syncpoint();
      return;
    }
    this.#tick();
    // Rows may have the commitTs of a DDL behind them.
    if (dice.chance(0.2)) for (const table of dice.shuffle(this.#live).slice(0, 2)) this.#row(table);
    this.#ddl();
    // A syncpoint may share a DDL's commitTs.
    if (dice.chance(0.25) && this.#events.length < this.#options.barriers) this.#syncpoint();
  }

  #syncpoint(): void {
    // Redo dispatchers meet none (protocol.md M17).
    if (this.#mode === 1n) return;
    this.#add("syncpoint", {
      isSyncPoint: true,
      influence: { type: "all" },
      tables: this.#live,
      trigger: true,
    });
  }

  #ddl(): void {
    const dice = this.#dice;
    const live = dice.shuffle(this.#live);
    const [first, second] = live;
    const few = live.length < 3;
    const many = live.length > 7;
    const kind = dice.pick([
      "alter",
      "alter",
      "alter many",
      "alter many",
      "alter with trigger",
      "truncate",
      "truncate",
      "rename",
      "alter schema",
      "view",
      ...(many ? [] : (["create", "create", "create like"] as const)),
      ...(few ? [] : (["drop", "drop schema"] as const)),
      "create schema",
    ] as const);
    if (first === undefined || kind === "create schema") {
      if (first === undefined) this.#create();
      else this.#createSchema();
      return;
    }
    const normal = (...tableIds: bigint[]) => ({ type: "tables" as const, tableIds });
    const { tableId } = first;
    switch (kind) {
      case "alter":
        this.#add(kind, { influence: normal(tableId), tables: [first], redefines: [first] });
        break;
      case "alter many": {
        const some = second ? live.slice(0, dice.chance(0.5) ? 2 : 3) : [first];
        const ids = some.map((table) => table.tableId);
        this.#add(kind, { influence: normal(...ids), tables: some, redefines: some });
        break;
      }
      case "alter with trigger":
        this.#add(kind, {
          influence: normal(0n, tableId),
          tables: [first],
          trigger: true,
          redefines: [first],
        });
        break;
      case "create":
        this.#create();
        break;
      case "create like":
        this.#create(first);
        break;
      case "drop":
        this.#add(kind, {
          influence: normal(0n, tableId),
          tables: [first],
          trigger: true,
          redefines: [first],
          drops: { influence: normal(tableId), tables: [first] },
        });
        break;
      case "truncate":
        this.#truncate(first);
        break;
      case "rename":
        this.#rename(first);
        break;
      case "alter schema":
      case "drop schema": {
        const { schema } = first;
        const of = live.filter((table) => table.schema === schema);
        const influence = { type: "schema" as const, schemaId: schema.id };
        this.#add(kind, {
          influence,
          tables: of,
          trigger: true,
          schema,
          ...(kind === "drop schema" && { drops: { influence, tables: of } }),
        });
        if (kind === "drop schema") this.#schemas = this.#schemas.filter((one) => one !== schema);
        if (this.#schemas.length === 0) this.#newSchema();
        break;
      }
      case "view":
        this.#add(kind, {
          influence: { type: "all" },
          tables: live,
          trigger: true,
          schema: first.schema,
        });
        break;
    }
  }

  #createSchema(): void {
    const schema = this.#newSchema();
    const influence = { type: "tables" as const, tableIds: [0n] };
    this.#add("create schema", { influence, tables: [], trigger: true, schema });
  }

  #create(like?: LogTable): void {
    const schema = this.#dice.pick(this.#schemas);
    const tableId = this.#nextTable;
    const event = this.#add(like ? "create like" : "create", {
      influence: { type: "tables", tableIds: [0n, ...(like ? [like.tableId] : [])] },
      tables: like ? [like] : [],
      trigger: true,
      adds: [{ tableId, schemaId: schema.id, splittable: true }],
      defines: [{ schema: schema.name, table: `t${tableId}` }],
    });
    this.#newTable(schema, this.#ts, event);
  }

  #truncate(table: LogTable): void {
    const tableId = this.#nextTable;
    const event = this.#add("truncate", {
      influence: { type: "tables", tableIds: [0n, table.tableId] },
      tables: [table],
      trigger: true,
      drops: {
        influence: { type: "tables", tableIds: [table.tableId] },
        tables: [table],
      },
      adds: [{ tableId, schemaId: table.schema.id, splittable: true }],
      defines: [{ schema: table.schema.name, table: table.name }],
    });
    this.#newTable(table.schema, this.#ts, event, table.name);
  }

  #rename(table: LogTable): void {
    const to = this.#dice.pick(this.#schemas);
    const from = table.schema;
    if (to === from) {
      this.#add("alter with trigger", {
        influence: { type: "tables", tableIds: [0n, table.tableId] },
        tables: [table],
        trigger: true,
        redefines: [table],
      });
      return;
    }
    table.schema = to;
    this.#add("rename", {
      influence: { type: "tables", tableIds: [0n, table.tableId] },
      tables: [table],
      trigger: true,
      redefines: [table],
      moves: [{ tableId: table.tableId, oldSchemaId: from.id, newSchemaId: to.id }],
    });
  }

  #add(
    kind: EventKind,
    about: {
      isSyncPoint?: boolean;
      influence: NonNullable<CaptureEvent["blockTables"]>;
      tables: readonly LogTable[];
      trigger?: boolean;
      /** Tables that get a new version. */
      redefines?: readonly LogTable[];
      defines?: readonly { schema: string; table: string }[];
      /** The schema whose own DDL it is. */
      schema?: Schema;
      drops?: { influence: NonNullable<CaptureEvent["blockTables"]>; tables: readonly LogTable[] };
      adds?: NonNullable<CaptureEvent["needAddedTables"]>;
      moves?: NonNullable<CaptureEvent["updatedSchemas"]>;
    },
  ): LogEvent {
    const { influence, tables, redefines = [], defines = [], drops, adds, moves } = about;
    const named = [
      ...redefines.map((table) => ({ schema: table.schema.name, table: table.name })),
      ...defines,
      ...(about.schema ? [{ schema: about.schema.name, table: "" }] : []),
    ];
    const definitions: StorageDefinition[] = named.map((one) => ({
      ...one,
      version: this.#ts,
      query: `${kind.toUpperCase()} ${one.schema}.${one.table}`,
      type: 0,
      columns: [{ name: "id", type: "bigint", isPrimaryKey: true }],
    }));
    const event: LogEvent = {
      kind,
      capture: {
        key: { commitTs: this.#ts, isSyncPoint: about.isSyncPoint ?? false },
        blockTables: influence,
        ...(drops && { needDroppedTables: drops.influence }),
        ...(adds && { needAddedTables: adds }),
        ...(moves && { updatedSchemas: moves }),
        payload: { definitions },
      },
      tables: new Set(tables.map((table) => table.tableId)),
      trigger: about.trigger ?? false,
      changesRoster: drops !== undefined || adds !== undefined || moves !== undefined,
      at: this.#at,
    };
    this.#events.push(event);
    for (const table of tables) table.items.push({ event });
    for (const table of redefines) table.version = this.#ts;
    for (const table of drops?.tables ?? []) table.droppedBy = event;
    return event;
  }
}
