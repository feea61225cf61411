/**
 * A recorded change log, line by line, as the capture side sees it: row changes and DDLs in commitTs order.
 * The lines are Canal-JSON with the TiDB extension, as TiCDC writes them.
 */
import type { InfluenceType } from "../protocol/messages.ts";
import type { Step } from "./effects.ts";

/** Where a thing stands in a log: shown in every error. */
export interface LogPosition {
  readonly file: string;
  readonly line: number;
}

/** One column value: Canal-JSON writes every value as text, or null. */
export type CanalRow = Readonly<Record<string, string | null>>;

/** One Canal-JSON object as it stands in the log and in the data files of a storage sink. */
export interface CanalMessage {
  readonly id: number;
  readonly database: string;
  readonly table: string;
  readonly pkNames: readonly string[] | null;
  readonly isDdl: boolean;
  readonly type: string;
  readonly es: number;
  readonly ts: number;
  readonly sql: string;
  readonly sqlType: Readonly<Record<string, number>> | null;
  readonly mysqlType: Readonly<Record<string, string>> | null;
  readonly data: readonly CanalRow[] | null;
  readonly old: readonly CanalRow[] | null;
  readonly _tidb: { readonly commitTs: bigint };
}

/** A change of rows: INSERT, UPDATE or DELETE. `message` is written to the sink as it is. */
export interface RowChange {
  readonly kind: "row";
  readonly at: LogPosition;
  readonly commitTs: bigint;
  readonly schema: string;
  readonly table: string;
  readonly type: "INSERT" | "UPDATE" | "DELETE";
  /** The physical table whose dispatchers carry it: one of the partitions, chosen by key (decision 36). */
  readonly tableId: bigint;
  /** The commitTs of the DDL that gave the table its present definition: the folder its rows belong to. */
  readonly tableVersion: bigint;
  /** The key as text: what decides the span. The same for all rows of a table whose rows cannot be told apart. */
  readonly key: string;
  /** One row as Canal-JSON: what a storage sink writes too. */
  readonly text: string;
  readonly message: CanalMessage;
}

/** InfluencedTables as plain data (protocol.md 1.4). */
export interface Influence {
  readonly type: InfluenceType;
  /** Normal only. Holds 0n when the table trigger takes part. */
  readonly tableIds: readonly bigint[];
  /** DB only. */
  readonly schemaId: bigint;
}

/** A table as it is after a DDL (for a dropped one: as it was): what a schema file says. */
export interface TableDefinition {
  readonly schema: string;
  readonly table: string;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  /** commitTs of the DDL that made it so. */
  readonly version: bigint;
  readonly columns: readonly Column[];
  /** The part of the DDL that is about this table: a RENAME of two tables is two. */
  readonly query: string;
}

export interface Column {
  readonly name: string;
  /** As MySQL writes it: `varchar(20)`. */
  readonly type: string;
  readonly isPrimaryKey: boolean;
  /** Absent: nobody has said so. */
  readonly nullable?: boolean;
  /** As text, or NULL; of an expression its words; absent: none. */
  readonly default?: string | null;
}

/** A DDL with what it does to tables (the table in ticdc.md 1.5). */
export interface DdlChange {
  readonly kind: "ddl";
  readonly at: LogPosition;
  readonly commitTs: bigint;
  /** The database the message names, and the table (empty for a database's own DDL). */
  readonly schema: string;
  readonly table: string;
  readonly query: string;
  /** CREATE, ALTER, RENAME, TRUNCATE, ERASE, CINDEX, DINDEX or QUERY, as the log says. */
  readonly type: string;
  /** What must stop: BlockTables. */
  readonly blockTables: Influence;
  readonly needDroppedTables: Influence | undefined;
  readonly needAddedTables: readonly {
    readonly tableId: bigint;
    readonly schemaId: bigint;
    /** Rows can be told apart, so the table can be split into spans. */
    readonly splittable?: boolean;
    /** For people. */
    readonly name?: string;
  }[];
  readonly updatedSchemas: readonly {
    readonly tableId: bigint;
    readonly oldSchemaId: bigint;
    readonly newSchemaId: bigint;
  }[];
  /** The physical tables that go, where `needDroppedTables` says only of which schema. */
  readonly dropped: readonly bigint[];
  /** What it does, table by table, in its order. */
  readonly steps: readonly Step[];
  /** The tables whose schema file the writer of this DDL writes: what the steps come to. */
  readonly definitions: readonly TableDefinition[];
  /** A database's own schema files: of the database itself, or of views in it. */
  readonly own: readonly { readonly schema: string; readonly query: string }[];
  /** It carries rows from one table to another, or brings some back: EXCHANGE, CONVERT, FLASHBACK. */
  readonly carriesRows: boolean;
  /** What was not known or does not fit, and how it was taken. */
  readonly warnings: readonly string[];
  readonly message: CanalMessage;
}

export type Change = RowChange | DdlChange;
