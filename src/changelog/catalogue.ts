import { InfluenceType } from "../protocol/messages.ts";
import { BadChangeLog } from "./problem.ts";
import {
  changeColumns,
  parseStatement,
  quote,
  type Statement,
  type TableName,
  UnknownStatement,
} from "./sql.ts";
import type { CanalMessage, Column, DdlChange, Influence, LogPosition, TableDefinition } from "./types.ts";

interface TableState {
  readonly tableId: bigint;
  readonly version: bigint;
  readonly columns: readonly Column[];
}

interface SchemaState {
  readonly schemaId: bigint;
  readonly tables: Map<string, TableState>;
}

type Effects = Pick<
  DdlChange,
  "blockTables" | "needDroppedTables" | "needAddedTables" | "updatedSchemas" | "definitions"
>;

const TRIGGER = 0n;
const normal = (...tableIds: bigint[]): Influence => ({ type: InfluenceType.Normal, tableIds, schemaId: 0n });
const ofSchema = (schemaId: bigint): Influence => ({ type: InfluenceType.DB, tableIds: [], schemaId });
const everybody: Influence = { type: InfluenceType.All, tableIds: [], schemaId: 0n };

/**
 * Follows the DDLs of a log: which tables there are, under which ids, in which version. Says of each DDL whom it touches
 * and what it adds, drops and moves, as TiDB does (ticdc.md, section 1.5).
 */
export class Catalogue {
  readonly #schemas = new Map<string, SchemaState>();
  #lastId = 100n;

  /** The table that holds a name now. */
  table(schema: string, table: string): TableState | undefined {
    return this.#schemas.get(schema)?.tables.get(table);
  }

  /**
   * Applies a DDL.
   * @throws BadChangeLog if it is not understood, or does not fit what is there
   */
  apply(message: CanalMessage, at: LogPosition): DdlChange {
    const commitTs = message._tidb.commitTs;
    let effects: Effects;
    try {
      effects = this.#effects(parseStatement(message.sql, message.database), commitTs, message.sql);
    } catch (error) {
      if (!(error instanceof UnknownStatement)) throw error;
      throw new BadChangeLog(
        at,
        `this DDL cannot be classified: ${error.message}. Statement: ${message.sql.slice(0, 200)}. ` +
          "Write it in MySQL's syntax, or leave it out together with the rows that depend on it",
      );
    }
    return {
      kind: "ddl",
      at,
      commitTs,
      schema: message.database,
      table: message.table,
      query: message.sql,
      type: message.type,
      message,
      ...effects,
    };
  }

  #effects(statement: Statement, commitTs: bigint, sql: string): Effects {
    const nothing = {
      needDroppedTables: undefined,
      needAddedTables: [],
      updatedSchemas: [],
      definitions: [],
    };
    switch (statement.kind) {
      case "create-database":
        if (this.#schemas.has(statement.database))
          throw new UnknownStatement(`database "${statement.database}" exists`);
        this.#schemas.set(statement.database, { schemaId: this.#nextId(), tables: new Map() });
        return { ...nothing, blockTables: normal(TRIGGER) };
      case "drop-database": {
        const { schemaId } = this.#schema(statement.database);
        this.#schemas.delete(statement.database);
        return { ...nothing, blockTables: ofSchema(schemaId), needDroppedTables: ofSchema(schemaId) };
      }
      case "alter-database":
        return { ...nothing, blockTables: ofSchema(this.#schema(statement.database).schemaId) };
      case "create-view":
        return { ...nothing, blockTables: everybody };
      case "drop-view":
        return { ...nothing, blockTables: normal(TRIGGER) };
      case "create-table":
        return this.#create(statement.table, statement.columns, commitTs, sql, []);
      case "create-table-like": {
        const like = this.#table(statement.like);
        return this.#create(statement.table, like.columns, commitTs, sql, [like.tableId]);
      }
      case "drop-table":
        return this.#drop(statement.tables, commitTs);
      case "truncate-table":
        return this.#truncate(statement.tables[0]!, commitTs, sql);
      case "rename-table":
        return this.#rename(statement.renames, commitTs);
      case "alter-table": {
        const before = this.#table(statement.table);
        const columns = changeColumns(before.columns, statement.changes);
        const after = { ...before, columns, version: commitTs };
        this.#schema(statement.table.schema).tables.set(statement.table.table, after);
        return {
          ...nothing,
          blockTables: normal(before.tableId),
          definitions: [this.#definition(statement.table, after, sql)],
        };
      }
    }
  }

  #create(
    name: TableName,
    columns: readonly Column[],
    commitTs: bigint,
    query: string,
    touched: readonly bigint[],
  ): Effects {
    const schema = this.#schema(name.schema);
    if (schema.tables.has(name.table)) throw new UnknownStatement(`table ${quote(name)} exists`);
    if (!columns.some((column) => column.isPrimaryKey))
      throw new UnknownStatement(
        `table ${quote(name)} has no primary key, which replay needs to compare rows`,
      );
    const table: TableState = { tableId: this.#nextId(), version: commitTs, columns };
    schema.tables.set(name.table, table);
    return {
      blockTables: normal(TRIGGER, ...touched),
      needDroppedTables: undefined,
      needAddedTables: [{ tableId: table.tableId, schemaId: schema.schemaId }],
      updatedSchemas: [],
      definitions: [this.#definition(name, table, query)],
    };
  }

  #drop(names: readonly TableName[], commitTs: bigint): Effects {
    const dropped = names.map((name) => {
      const table = this.#table(name);
      const definition = this.#definition(name, { ...table, version: commitTs }, `DROP TABLE ${quote(name)}`);
      this.#schema(name.schema).tables.delete(name.table);
      return definition;
    });
    const ids = dropped.map((table) => table.tableId);
    return {
      blockTables: normal(...ids, TRIGGER),
      needDroppedTables: normal(...ids),
      needAddedTables: [],
      updatedSchemas: [],
      definitions: dropped,
    };
  }

  #truncate(name: TableName, commitTs: bigint, query: string): Effects {
    const schema = this.#schema(name.schema);
    const before = this.#table(name);
    const after: TableState = { ...before, tableId: this.#nextId(), version: commitTs };
    schema.tables.set(name.table, after);
    return {
      blockTables: normal(before.tableId, TRIGGER),
      needDroppedTables: normal(before.tableId),
      needAddedTables: [{ tableId: after.tableId, schemaId: schema.schemaId }],
      updatedSchemas: [],
      definitions: [this.#definition(name, after, query)],
    };
  }

  #rename(renames: readonly { from: TableName; to: TableName }[], commitTs: bigint): Effects {
    const updatedSchemas: { tableId: bigint; oldSchemaId: bigint; newSchemaId: bigint }[] = [];
    const definitions: TableDefinition[] = [];
    for (const { from, to } of renames) {
      const table = { ...this.#table(from), version: commitTs };
      const oldSchema = this.#schema(from.schema);
      const newSchema = this.#schema(to.schema);
      if (newSchema.tables.has(to.table)) throw new UnknownStatement(`table ${quote(to)} exists`);
      oldSchema.tables.delete(from.table);
      newSchema.tables.set(to.table, table);
      if (oldSchema !== newSchema)
        updatedSchemas.push({
          tableId: table.tableId,
          oldSchemaId: oldSchema.schemaId,
          newSchemaId: newSchema.schemaId,
        });
      definitions.push(this.#definition(to, table, `RENAME TABLE ${quote(from)} TO ${quote(to)}`));
    }
    return {
      blockTables: normal(...definitions.map((one) => one.tableId), TRIGGER),
      needDroppedTables: undefined,
      needAddedTables: [],
      updatedSchemas,
      definitions,
    };
  }

  #definition(name: TableName, table: TableState, query: string): TableDefinition {
    const { schemaId } = this.#schema(name.schema);
    return {
      ...name,
      tableId: table.tableId,
      schemaId,
      version: table.version,
      columns: table.columns,
      query,
    };
  }

  #schema(name: string): SchemaState {
    const schema = this.#schemas.get(name);
    if (!schema) throw new UnknownStatement(`database "${name}" does not exist at this point of the log`);
    return schema;
  }

  #table(name: TableName): TableState {
    const table = this.#schema(name.schema).tables.get(name.table);
    if (!table) throw new UnknownStatement(`table ${quote(name)} does not exist at this point of the log`);
    return table;
  }

  #nextId(): bigint {
    this.#lastId += 1n;
    return this.#lastId;
  }
}
