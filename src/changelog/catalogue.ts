import type { Clause, PartitionChange } from "./alter.ts";
import { quote, type TableName } from "./cursor.ts";
import {
  type Effects,
  everybody,
  mergeEffects,
  NO_EFFECTS,
  netDefinitions,
  normal,
  notOneEvent,
  ofSchema,
  type Step,
  TRIGGER,
} from "./effects.ts";
import { canLocate } from "./locate.ts";
import { changePartitions, type PartitionIds, type PartitionState } from "./partition-change.ts";
import { BadChangeLog } from "./problem.ts";
import { type SchemaState, Schemas, type TableState } from "./schemas.ts";
import { changeShape, columnsOf, handleOf, shapeOf } from "./shape.ts";
import { type CreateTable, type ReadStatement, readStatements, type Statement } from "./statement.ts";
import { UnknownStatement } from "./tokens.ts";
import type { CanalMessage, DdlChange, LogPosition, TableDefinition } from "./types.ts";

/**
 * Follows the DDLs of a log: which tables there are, under which ids, in which version. Says of each DDL whom it touches
 * and what it adds, drops and moves, as TiDB does (ticdc.md 1.5).
 */
export class Catalogue {
  readonly #schemas = new Schemas();
  #commitTs = 0n;
  #warnings: string[] = [];

  /** The table that holds a name now, with the name as it was created. */
  table(schema: string, table: string): { name: TableName; state: TableState } | undefined {
    const found = this.#schemas.find({ schema, table });
    return found && { name: found.name, state: found.table };
  }

  /** Whether a name is a sequence's: MariaDB logs each step of it as a row. */
  isSequence(schema: string, table: string): boolean {
    return this.#schemas.other({ schema, table }) === "sequence";
  }

  /**
   * Applies a DDL.
   * @throws BadChangeLog if it is not understood, or does not fit what is there
   */
  apply(message: CanalMessage, at: LogPosition): DdlChange {
    const { commitTs } = message._tidb;
    this.#commitTs = commitTs;
    try {
      const all = readStatements(message.sql, message.database).map((one) => this.#apply(one, message));
      const why = notOneEvent(all);
      if (why !== undefined) throw new UnknownStatement(why);
      const { steps, ...effects } = mergeEffects(all);
      return {
        kind: "ddl",
        at,
        commitTs,
        schema: message.database,
        table: message.table,
        query: message.sql,
        type: message.type,
        message,
        steps,
        definitions: netDefinitions(steps),
        ...effects,
      };
    } catch (error) {
      if (!(error instanceof UnknownStatement)) throw error;
      throw new BadChangeLog(
        at,
        `this DDL cannot be classified: ${error.message}. Statement: ${message.sql.slice(0, 200)}. ` +
          "Write it in MySQL's syntax, or leave it out together with the rows that depend on it",
      );
    }
  }

  #apply(read: ReadStatement, message: CanalMessage): Effects {
    this.#warnings = [];
    const effects = this.#effects(read.statement, read.text, message);
    return { ...effects, warnings: [...effects.warnings, ...this.#warnings] };
  }

  #effects(statement: Statement, text: string, message: CanalMessage): Effects {
    switch (statement.kind) {
      case "nothing":
        return NO_EFFECTS;
      case "create-database":
        return this.#createDatabase(statement, text);
      case "drop-database":
        return this.#dropDatabase(statement.database, statement.ifExists, text);
      case "alter-database": {
        const schema = this.#schemas.of(statement.database);
        return {
          ...NO_EFFECTS,
          blockTables: ofSchema(schema.schemaId),
          own: [{ schema: schema.name, query: text }],
        };
      }
      case "create-view":
        this.#schemas.of(statement.view.schema).others.set(statement.view.table, "view");
        return {
          ...NO_EFFECTS,
          blockTables: everybody,
          own: [{ schema: this.#schemas.of(statement.view.schema).name, query: text }],
        };
      case "drop-view":
        for (const view of statement.views) this.#schemas.other(view, true);
        return {
          ...NO_EFFECTS,
          blockTables: normal(TRIGGER),
          own: statement.views
            .slice(0, 1)
            .map((view) => ({ schema: this.#schemas.of(view.schema).name, query: text })),
        };
      case "create-other":
        this.#schemas.of(statement.name.schema).others.set(statement.name.table, statement.what);
        return NO_EFFECTS;
      case "drop-other":
        for (const name of statement.names) this.#schemas.other(name, true);
        return NO_EFFECTS;
      case "create-table":
        return this.#create(statement, text);
      case "drop-table":
        return this.#drop(statement.tables, statement.ifExists);
      case "truncate-table":
        return this.#truncate(statement.table, text);
      case "rename-table":
        return this.#rename(statement.renames, statement.ifExists);
      case "alter-table":
        return this.#alter(statement.table, statement.ifExists, statement.clauses, text);
      case "recover-table":
        return this.#recover(statement.table ?? tableOf(message), statement.to);
      case "recover-database":
        return this.#recoverDatabase(statement.database, statement.to, text);
      case "unknown":
        return this.#unknown(statement.head, message);
    }
  }

  /** A head that is not known: the log's own type says whether it can create or drop anything. */
  #unknown(head: string, message: CanalMessage): Effects {
    const { type } = message;
    const found = this.#schemas.find(tableOf(message));
    if ((type === "ALTER" || type === "CINDEX" || type === "DINDEX") && found) {
      this.#warn(
        `"${head}" is not known: taken as a change of ${quote(found.name)} that leaves its columns as they are`,
      );
      return { ...NO_EFFECTS, blockTables: normal(...found.table.physical) };
    }
    if (type !== "QUERY")
      throw new UnknownStatement(
        `no statement of MySQL, MariaDB or TiDB begins with "${head}", and its type is ${type}`,
      );
    this.#warn(`"${head}" is not known: everybody stops at it, and no table is added or dropped`);
    return { ...NO_EFFECTS, blockTables: everybody };
  }

  #createDatabase(statement: Extract<Statement, { kind: "create-database" }>, query: string): Effects {
    const there = this.#schemas.get(statement.database);
    const effects = { ...NO_EFFECTS, blockTables: normal(TRIGGER) };
    if (there && statement.orReplace)
      return mergeEffects([
        this.#dropDatabase(statement.database, true, query),
        this.#createDatabase({ ...statement, orReplace: false }, query),
      ]);
    if (there && !there.implied) {
      if (!statement.ifNotExists) throw new UnknownStatement(`database "${statement.database}" exists`);
      return effects;
    }
    const schema = this.#schemas.create(statement.database);
    return { ...effects, own: [{ schema: schema.name, query }] };
  }

  #dropDatabase(name: string, ifExists: boolean, query: string): Effects {
    if (ifExists && !this.#schemas.get(name)) return { ...NO_EFFECTS, blockTables: normal(TRIGGER) };
    const schema = this.#schemas.of(name);
    this.#schemas.drop(schema);
    return {
      ...NO_EFFECTS,
      blockTables: ofSchema(schema.schemaId),
      needDroppedTables: ofSchema(schema.schemaId),
      dropped: [...schema.tables.values()].flatMap((one) => one.physical),
      own: [{ schema: schema.name, query }],
    };
  }

  #create(statement: CreateTable, query: string): Effects {
    const schema = this.#schemas.of(statement.table.schema);
    const name = { schema: schema.name, table: statement.table.table };
    const there = schema.tables.get(name.table);
    const touched: bigint[] = [];
    if (there || schema.others.get(name.table) === "view" || schema.others.get(name.table) === "sequence") {
      if (statement.ifNotExists) return { ...NO_EFFECTS, blockTables: normal(TRIGGER) };
      if (!statement.orReplace) throw new UnknownStatement(`table ${quote(name)} exists`);
      if (there) this.#schemas.bury(name, there);
    }
    let shape = shapeOf(statement);
    let partitions = this.#newPartitions(statement.partitioning);
    if (statement.like) {
      const like = this.#schemas.find(statement.like);
      if (like) {
        shape = like.table.shape;
        touched.push(...like.table.physical);
        partitions = like.table.partitions && {
          ...like.table.partitions,
          parts: like.table.partitions.parts.map((one) => ({ ...one, tableId: 0n })),
        };
      } else if (!this.#schemas.other(statement.like))
        throw new UnknownStatement(`table ${quote(statement.like)} does not exist at this point of the log`);
    }
    if (statement.selects) {
      for (const one of statement.selects)
        touched.push(...(this.#schemas.get(one.schema)?.tables.get(one.table)?.physical ?? []));
      this.#warn(`the columns that the query of ${quote(name)} gives are taken from its rows`);
    }
    const table = this.#schemas.put(name, {
      tableId: this.#schemas.nextId(),
      version: this.#commitTs,
      shape,
      complete: !statement.selects && shape.columns.length > 0,
      partitions: this.#numbered(partitions),
    });
    const effects: Effects = {
      ...NO_EFFECTS,
      blockTables: normal(TRIGGER, ...touched),
      needAddedTables: this.#added(name, table, schema),
      steps: [{ do: "create", definition: this.#definition(name, table, query) }],
    };
    if (!there) return effects;
    return {
      ...effects,
      blockTables: normal(...there.physical, TRIGGER, ...touched),
      needDroppedTables: normal(...there.physical),
      dropped: there.physical,
    };
  }

  #newPartitions(partitioning: CreateTable["partitioning"]): PartitionState | undefined {
    return (
      partitioning && {
        ...partitioning,
        parts: partitioning.partitions.map((one) => ({ ...one, tableId: 0n })),
      }
    );
  }

  /** Gives ids to partitions that have none. */
  #numbered(partitions: PartitionState | undefined): PartitionState | undefined {
    return (
      partitions && {
        ...partitions,
        parts: partitions.parts.map((one) =>
          one.tableId === 0n ? { ...one, tableId: this.#schemas.nextId() } : one,
        ),
      }
    );
  }

  #added(
    name: TableName,
    table: TableState,
    schema: SchemaState,
    ids = table.physical,
  ): Effects["needAddedTables"] {
    const splittable = handleOf(table.shape).length > 0;
    const { schemaId } = schema;
    return ids.map((tableId) => ({ tableId, schemaId, splittable, name: `${name.schema}.${name.table}` }));
  }

  #drop(names: readonly TableName[], ifExists: boolean): Effects {
    const steps: Step[] = [];
    const ids: bigint[] = [];
    for (const name of names) {
      const found = this.#dropOther(name) ? undefined : this.#schemas.find(name);
      if (!found) {
        if (!ifExists && names.length === 1 && !this.#dropped) throw missing(name);
        continue;
      }
      const table = { ...found.table, version: this.#commitTs };
      const definition = this.#definition(found.name, table, `DROP TABLE ${quote(found.name)}`);
      steps.push({ do: "drop", definition });
      ids.push(...found.table.physical);
      this.#schemas.bury(found.name, found.table);
    }
    if (ids.length === 0 && this.#dropped) return NO_EFFECTS;
    return {
      ...NO_EFFECTS,
      blockTables: normal(...ids, TRIGGER),
      needDroppedTables: ids.length > 0 ? normal(...ids) : undefined,
      dropped: ids,
      steps,
    };
  }

  /** Set by the last `#dropOther` that found something. */
  #dropped = false;

  /** A view, a sequence or a temporary table of this name goes; the last hides a table of the same name. */
  #dropOther(name: TableName): boolean {
    const what = this.#schemas.other(name);
    this.#dropped = what !== undefined;
    if (what === undefined) return false;
    if (this.#schemas.find(name) && what === "temporary table")
      this.#warn(`${quote(name)} is a temporary table and a table: the temporary one is taken to be dropped`);
    this.#schemas.other(name, true);
    return true;
  }

  #truncate(wanted: TableName, query: string): Effects {
    const found = this.#schemas.find(wanted);
    if (!found || this.#isTemporary(wanted)) return this.#notATable(wanted, false);
    const { name, table: before, schema } = found;
    this.#schemas.remember(name, before);
    const after = this.#schemas.put(name, {
      ...before,
      tableId: this.#schemas.nextId(),
      version: this.#commitTs,
      partitions: this.#numbered(
        before.partitions && {
          ...before.partitions,
          parts: before.partitions.parts.map((one) => ({ ...one, tableId: 0n })),
        },
      ),
    });
    return {
      ...NO_EFFECTS,
      blockTables: normal(...before.physical, TRIGGER),
      needDroppedTables: normal(...before.physical),
      dropped: before.physical,
      needAddedTables: this.#added(name, after, schema),
      steps: [{ do: "change", definition: this.#definition(name, after, query) }],
    };
  }

  #isTemporary(name: TableName): boolean {
    return this.#schemas.other(name) === "temporary table";
  }

  /** A statement about something that is no table: it touches nothing if that is known, or need not be there. */
  #notATable(name: TableName, ifExists: boolean): Effects {
    if (this.#schemas.other(name)) return NO_EFFECTS;
    if (ifExists) return { ...NO_EFFECTS, blockTables: normal(TRIGGER) };
    throw missing(name);
  }

  #rename(renames: readonly { from: TableName; to: TableName }[], ifExists: boolean): Effects {
    const all = renames.map(({ from, to }) => {
      const found = this.#isTemporary(from) ? undefined : this.#schemas.find(from);
      if (found) return this.#move(found.name, to);
      const what = this.#schemas.other(from);
      const effects = this.#notATable(from, ifExists);
      if (what) {
        this.#schemas.other(from, true);
        this.#schemas.of(to.schema).others.set(to.table, what);
      }
      return effects;
    });
    const effects = mergeEffects(all);
    return effects.steps.length > 0
      ? { ...effects, blockTables: normal(...triggerLast(effects.blockTables.tableIds)) }
      : effects;
  }

  /** Gives a table another name. */
  #move(from: TableName, wanted: TableName): Effects {
    const newSchema = this.#schemas.of(wanted.schema);
    const to = { schema: newSchema.name, table: wanted.table };
    const oldSchema = this.#schemas.of(from.schema);
    const table = oldSchema.tables.get(from.table)!;
    oldSchema.tables.delete(from.table);
    if (newSchema.tables.has(to.table)) {
      oldSchema.tables.set(from.table, table);
      throw new UnknownStatement(`table ${quote(to)} exists`);
    }
    const moved = this.#schemas.put(to, { ...table, version: this.#commitTs });
    const query = `RENAME TABLE ${quote(from)} TO ${quote(to)}`;
    return {
      ...NO_EFFECTS,
      blockTables: normal(...moved.physical, TRIGGER),
      updatedSchemas:
        oldSchema === newSchema
          ? []
          : moved.physical.map((tableId) => ({
              tableId,
              oldSchemaId: oldSchema.schemaId,
              newSchemaId: newSchema.schemaId,
            })),
      steps: [{ do: "move", from, definition: this.#definition(to, moved, query) }],
    };
  }

  #alter(wanted: TableName, ifExists: boolean, clauses: readonly Clause[], query: string): Effects {
    const found = this.#isTemporary(wanted) ? undefined : this.#schemas.find(wanted);
    const target = clauses.find((one) => one.do === "rename-table")?.to;
    if (!found) {
      if (target && this.#schemas.other(wanted))
        return this.#rename([{ from: wanted, to: target }], ifExists);
      return this.#notATable(wanted, ifExists);
    }
    const { name, table: before } = found;
    for (const clause of clauses)
      if (clause.do === "unknown")
        this.#warn(
          `clause "${clause.what}" is not known: taken as one that leaves the columns of ${quote(name)} as they are`,
        );
    const { shape } = changeShape(before.shape, clauses, (what) => this.#warn(`${quote(name)}: ${what}`));
    this.#schemas.put(name, { ...before, shape, version: this.#commitTs });
    const onlyMoves = target !== undefined && clauses.length === 1;
    const moved = target && this.#move(name, target);
    const now = moved ? moved.steps[0]!.definition : name;
    const after = this.#schemas.find(now)!.table;
    const change = clauses.find((one) => one.do === "partition")?.change;
    if (change) return this.#partitions(now, after, change, query);
    if (onlyMoves) return moved!;
    const changed: Step = { do: "change", definition: this.#definition(now, after, query) };
    if (!moved) return { ...NO_EFFECTS, blockTables: normal(...after.physical), steps: [changed] };
    const [move] = moved.steps as [Extract<Step, { do: "move" }>];
    // In the statement a name without a schema is one of the database that it came from.
    const own = move.from.schema === move.definition.schema ? query : move.definition.query;
    return { ...moved, steps: [{ ...move, definition: { ...move.definition, query: own } }, changed] };
  }

  #partitions(name: TableName, before: TableState, change: PartitionChange, query: string): Effects {
    const ids: PartitionIds = {
      next: () => this.#schemas.nextId(),
      warn: (what) => this.#warn(`${quote(name)}: ${what}`),
    };
    const other = "table" in change ? change.table : undefined;
    if (change.op === "exchange") return this.#exchange(name, before, change.name, change.table);
    const schema = this.#schemas.of(name.schema);
    const result = changePartitions(before.tableId, before.partitions, change, ids);
    if (result.partitions?.parts.length === 0)
      throw new UnknownStatement(`${quote(name)} would have no partition left, which no server allows`);
    const after = this.#schemas.put(name, {
      ...before,
      tableId: result.tableId,
      partitions: result.partitions,
      version: this.#commitTs,
    });
    const old = before.physical;
    const dropped = old.filter((id) => !after.physical.includes(id));
    const added = after.physical.filter((id) => !old.includes(id));
    const effects: Effects = {
      ...NO_EFFECTS,
      blockTables: normal(...old, TRIGGER),
      needDroppedTables: dropped.length > 0 ? normal(...dropped) : undefined,
      dropped,
      needAddedTables: this.#added(name, after, schema, added),
      steps: [{ do: "change", definition: this.#definition(name, after, query) }],
    };
    if (!other) return effects;
    // MariaDB: a partition becomes a table, or a table becomes one.
    const own =
      change.op === "to-table" ? this.#partitionToTable(before, other, query) : this.#drop([other], false);
    return { ...mergeEffects([effects, own]), carriesRows: true };
  }

  #partitionToTable(table: TableState, wanted: TableName, query: string): Effects {
    const schema = this.#schemas.of(wanted.schema);
    const name = { schema: schema.name, table: wanted.table };
    if (schema.tables.has(name.table)) throw new UnknownStatement(`table ${quote(name)} exists`);
    const created = this.#schemas.put(name, {
      ...table,
      tableId: this.#schemas.nextId(),
      partitions: undefined,
      version: this.#commitTs,
    });
    return {
      ...NO_EFFECTS,
      needAddedTables: this.#added(name, created, schema),
      steps: [{ do: "create", definition: this.#definition(name, created, query) }],
    };
  }

  /** A partition and a table change places: the ids stay with the rows (ticdc.md 1.5). */
  #exchange(name: TableName, before: TableState, partition: string, wanted: TableName): Effects {
    const other = this.#schemas.find(wanted);
    if (!other) throw missing(wanted);
    const parts = before.partitions?.parts ?? [];
    const part = parts.find((one) => one.name.toLowerCase() === partition.toLowerCase());
    if (!part)
      throw new UnknownStatement(`${quote(name)} has no partition "${partition}" at this point of the log`);
    const schema = this.#schemas.of(name.schema);
    const swapped = parts.map((one) => (one === part ? { ...one, tableId: other.table.tableId } : one));
    const after = this.#schemas.put(name, {
      ...before,
      version: this.#commitTs,
      partitions: { ...before.partitions!, parts: swapped },
    });
    const table = this.#schemas.put(other.name, {
      ...other.table,
      tableId: part.tableId,
      version: this.#commitTs,
    });
    const query = `ALTER TABLE ${quote(name)} EXCHANGE PARTITION \`${part.name.replaceAll("`", "``")}\` WITH TABLE ${quote(other.name)}`;
    const [own, others] = [schema.schemaId, other.schema.schemaId];
    return {
      ...NO_EFFECTS,
      // Where nobody can say in which partition a row is, all of them stop (decision 36).
      blockTables: normal(
        other.table.tableId,
        part.tableId,
        ...(canLocate(before.partitions!) ? [] : before.physical),
        TRIGGER,
      ),
      updatedSchemas:
        own === others
          ? []
          : [
              { tableId: part.tableId, oldSchemaId: own, newSchemaId: others },
              { tableId: other.table.tableId, oldSchemaId: others, newSchemaId: own },
            ],
      carriesRows: true,
      steps: [
        { do: "change", definition: this.#definition(name, after, query) },
        { do: "change", definition: this.#definition(other.name, table, query) },
      ],
    };
  }

  #recover(wanted: TableName, to: TableName | undefined): Effects {
    const name = to ?? wanted;
    const buried = this.#schemas.unbury(wanted);
    if (!buried)
      throw new UnknownStatement(
        `table ${quote(wanted)} was not dropped or truncated at this point of the log`,
      );
    const schema = this.#schemas.of(name.schema);
    if (schema.tables.has(name.table)) throw new UnknownStatement(`table ${quote(name)} exists`);
    const place = { schema: schema.name, table: name.table };
    const { partitions } = buried;
    const table = this.#schemas.put(place, {
      ...buried,
      tableId: this.#schemas.nextId(),
      version: this.#commitTs,
      partitions: this.#numbered(
        partitions && { ...partitions, parts: partitions.parts.map((one) => ({ ...one, tableId: 0n })) },
      ),
    });
    const query = `FLASHBACK TABLE ${quote(wanted)} TO \`${name.table.replaceAll("`", "``")}\``;
    return {
      ...NO_EFFECTS,
      blockTables: normal(TRIGGER),
      needAddedTables: this.#added(place, table, schema),
      carriesRows: true,
      steps: [{ do: "create", definition: this.#definition(place, table, query) }],
    };
  }

  #recoverDatabase(from: string, to: string, query: string): Effects {
    const buried = this.#schemas.unburyDatabase(from);
    if (!buried) throw new UnknownStatement(`database "${from}" was not dropped at this point of the log`);
    if (this.#schemas.get(to)) throw new UnknownStatement(`database "${to}" exists`);
    const schema = this.#schemas.create(to);
    const all: Effects[] = [{ ...NO_EFFECTS, blockTables: normal(TRIGGER), own: [{ schema: to, query }] }];
    for (const [table, state] of buried.tables) {
      this.#schemas.remember({ schema: to, table }, state);
      const one = this.#recover({ schema: schema.name, table }, undefined);
      const [step] = one.steps;
      const back = `FLASHBACK TABLE ${quote({ schema: from, table })} TO \`${table.replaceAll("`", "``")}\``;
      all.push({ ...one, steps: [{ do: "create", definition: { ...step!.definition, query: back } }] });
    }
    return mergeEffects(all);
  }

  #definition(name: TableName, table: TableState, query: string): TableDefinition {
    const { schemaId } = this.#schemas.of(name.schema);
    return {
      schema: name.schema,
      table: name.table,
      tableId: table.tableId,
      schemaId,
      version: table.version,
      columns: columnsOf(table.shape),
      query,
    };
  }

  #warn(what: string): void {
    this.#warnings.push(what);
  }
}

const tableOf = (message: CanalMessage): TableName => ({ schema: message.database, table: message.table });
const triggerLast = (ids: readonly bigint[]) => [...ids.filter((id) => id !== TRIGGER), TRIGGER];
const missing = (name: TableName) =>
  new UnknownStatement(`table ${quote(name)} does not exist at this point of the log`);

export type { TableState };
