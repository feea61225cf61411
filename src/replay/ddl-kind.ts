import type { Clause } from "../changelog/alter.ts";
import { readStatements, type Statement } from "../changelog/statement.ts";

/** TiDB's numbers of kinds of DDL (`model.ActionType`), as schema files have them. */
export const DdlKind = {
  None: 0,
  CreateSchema: 1,
  DropSchema: 2,
  CreateTable: 3,
  DropTable: 4,
  AddColumn: 5,
  DropColumn: 6,
  AddIndex: 7,
  DropIndex: 8,
  TruncateTable: 11,
  ModifyColumn: 12,
  RenameTable: 14,
  SetDefaultValue: 15,
  RenameIndex: 18,
  AddTablePartition: 19,
  DropTablePartition: 20,
  CreateView: 21,
  TruncateTablePartition: 23,
  DropView: 24,
  RecoverTable: 25,
  ModifySchemaCharsetAndCollate: 26,
  AddPrimaryKey: 32,
  DropPrimaryKey: 33,
  ExchangeTablePartition: 42,
  MultiSchemaChange: 60,
  RecoverSchema: 62,
  ReorganizePartition: 63,
  AlterTablePartitioning: 70,
  RemovePartitioning: 71,
} as const;

/**
 * The kind of a schema file's query. TiCDC's reader goes by it: it runs CREATE DATABASE outside of the database, and takes a RENAME
 * apart by its words. So only what is one statement RENAME TABLE has that kind.
 * @param query of one table or database: what `DdlChange.definitions` has
 */
export function ddlKind(query: string, schema: string): number {
  const kinds = readStatements(query, schema).map(({ statement }) => kindOf(statement));
  const [first = DdlKind.None, ...others] = kinds;
  if (others.every((one) => one === first)) {
    const several = others.length > 0 && first === DdlKind.RenameTable;
    return several ? DdlKind.MultiSchemaChange : first;
  }
  return kinds.includes(DdlKind.CreateSchema) ? DdlKind.CreateSchema : DdlKind.MultiSchemaChange;
}

function kindOf(statement: Statement): number {
  switch (statement.kind) {
    case "create-database":
      return DdlKind.CreateSchema;
    case "drop-database":
      return DdlKind.DropSchema;
    case "alter-database":
      return DdlKind.ModifySchemaCharsetAndCollate;
    case "recover-database":
      return DdlKind.RecoverSchema;
    case "create-view":
      return DdlKind.CreateView;
    case "drop-view":
      return DdlKind.DropView;
    case "create-table":
      return DdlKind.CreateTable;
    case "drop-table":
      return DdlKind.DropTable;
    case "truncate-table":
      return DdlKind.TruncateTable;
    case "rename-table":
      return statement.renames.length === 1 ? DdlKind.RenameTable : DdlKind.MultiSchemaChange;
    case "recover-table":
      return DdlKind.RecoverTable;
    case "alter-table":
      return alterKind(statement.clauses);
    default:
      return DdlKind.None;
  }
}

function alterKind(clauses: readonly Clause[]): number {
  const kinds = new Set(clauses.map(clauseKind));
  // ALGORITHM, LOCK and the like stand beside what is done.
  if (kinds.size > 1) kinds.delete(DdlKind.None);
  const [kind = DdlKind.None, another] = kinds;
  const done = clauses.filter((one) => clauseKind(one) === kind);
  return another !== undefined || done.length > 1 ? DdlKind.MultiSchemaChange : kind;
}

const CLAUSES: Readonly<Record<Exclude<Clause["do"], "partition">, number>> = {
  add: DdlKind.AddColumn,
  drop: DdlKind.DropColumn,
  change: DdlKind.ModifyColumn,
  "rename-column": DdlKind.ModifyColumn,
  default: DdlKind.SetDefaultValue,
  "drop-primary": DdlKind.DropPrimaryKey,
  "add-primary": DdlKind.AddPrimaryKey,
  "add-unique": DdlKind.AddIndex,
  "drop-index": DdlKind.DropIndex,
  "rename-index": DdlKind.RenameIndex,
  // With other clauses or without, it is no statement RENAME TABLE.
  "rename-table": DdlKind.MultiSchemaChange,
  other: DdlKind.None,
  unknown: DdlKind.None,
};

const PARTITIONS: Readonly<Record<Extract<Clause, { do: "partition" }>["change"]["op"], number>> = {
  add: DdlKind.AddTablePartition,
  count: DdlKind.ReorganizePartition,
  drop: DdlKind.DropTablePartition,
  truncate: DdlKind.TruncateTablePartition,
  reorganize: DdlKind.ReorganizePartition,
  exchange: DdlKind.ExchangeTablePartition,
  "to-table": DdlKind.None,
  "from-table": DdlKind.None,
  by: DdlKind.AlterTablePartitioning,
  remove: DdlKind.RemovePartitioning,
  first: DdlKind.DropTablePartition,
  last: DdlKind.AddTablePartition,
  split: DdlKind.ReorganizePartition,
};

function clauseKind(clause: Clause): number {
  if (clause.do === "partition") return PARTITIONS[clause.change.op];
  if (clause.do === "other" && clause.what === "an index") return DdlKind.AddIndex;
  return CLAUSES[clause.do];
}
