/** ALTER TABLE, clause by clause: which kind each is, and what it says of columns, keys, names and partitions. */
import {
  type ColumnDefinition,
  type Default,
  type KeyDefinition,
  type Position,
  readColumn,
  readDefault,
  readElement,
} from "./columns.ts";
import { Cursor, findOutside, isName, isWord, split, type TableName } from "./cursor.ts";
import {
  type PartitionDefinition,
  type Partitioning,
  readPartitioning,
  readPartitions,
} from "./partitions.ts";
import type { Token } from "./tokens.ts";

export type PartitionChange =
  | { readonly op: "add"; readonly partitions: readonly PartitionDefinition[] }
  /** ADD PARTITION PARTITIONS n, COALESCE PARTITION n (negative): all rows find a new place. */
  | { readonly op: "count"; readonly by: number }
  /** `names` undefined: ALL. */
  | { readonly op: "drop" | "truncate"; readonly names: readonly string[] | undefined }
  | {
      readonly op: "reorganize";
      readonly names: readonly string[];
      readonly into: readonly PartitionDefinition[];
    }
  | { readonly op: "exchange"; readonly name: string; readonly table: TableName }
  /** MariaDB: a partition becomes a table, a table a partition. */
  | { readonly op: "to-table"; readonly name: string; readonly table: TableName }
  | { readonly op: "from-table"; readonly partition: PartitionDefinition; readonly table: TableName }
  | { readonly op: "by"; readonly partitioning: Partitioning }
  | { readonly op: "remove" }
  /** TiDB's INTERVAL partitions: those below a bound go, or others come up to one. */
  | { readonly op: "first" | "last" | "split"; readonly bound: readonly Token[] };

export type Clause =
  | {
      readonly do: "add";
      readonly column: ColumnDefinition;
      readonly position: Position;
      readonly ifNotExists: boolean;
    }
  | { readonly do: "drop"; readonly name: string; readonly ifExists: boolean }
  | {
      readonly do: "change";
      readonly name: string;
      readonly column: ColumnDefinition;
      readonly position: Position;
      readonly ifExists: boolean;
    }
  | { readonly do: "rename-column"; readonly name: string; readonly to: string; readonly ifExists: boolean }
  | { readonly do: "default"; readonly name: string; readonly default: Default }
  | { readonly do: "drop-primary" }
  | { readonly do: "add-primary" | "add-unique"; readonly key: KeyDefinition }
  | { readonly do: "drop-index"; readonly name: string }
  | { readonly do: "rename-index"; readonly name: string; readonly to: string }
  | { readonly do: "rename-table"; readonly to: TableName }
  | { readonly do: "partition"; readonly change: PartitionChange }
  /** Touches the table, and neither its columns nor its name. */
  | { readonly do: "other"; readonly what: string }
  /** Not known: taken as `other`, with a warning. */
  | { readonly do: "unknown"; readonly what: string };

/** Clauses that change neither columns nor names, by their first word. */
const OTHERS = new Set(
  `ADMIN AFFINITY ALGORITHM ANALYZE ATTRIBUTES AUTOEXTEND_SIZE AUTO_ID_CACHE AUTO_INCREMENT AUTO_RANDOM_BASE AVG_ROW_LENGTH
  CACHE CHARACTER CHARSET CHAR CHECK CHECKSUM COLLATE COLUMN_FORMAT COMMENT COMPACT COMPRESSION CONNECTION CONVERT DATA DEFAULT
  DELAY_KEY_WRITE DISABLE DISCARD DISTRIBUTE ENABLE ENCRYPTED ENCRYPTION ENCRYPTION_KEY_ID ENGINE ENGINE_ATTRIBUTE FORCE IETF_QUOTES
  IMPORT INDEX INSERT_METHOD KEY_BLOCK_SIZE LOCK LOGGED MAX_ROWS MIN_ROWS NOCACHE NOWAIT OPTIMIZE OPTION ORDER PACK_KEYS
  PAGE_CHECKSUM PAGE_COMPRESSED PAGE_COMPRESSION_LEVEL PARTITION PARTITIONS PASSWORD PLACEMENT PRE_SPLIT_REGIONS REBUILD REPAIR
  REMOVE REPLICA ROW_FORMAT SECONDARY_ENGINE SECONDARY_ENGINE_ATTRIBUTE SECONDARY_LOAD SECONDARY_UNLOAD SEQUENCE SHARD_ROW_ID_BITS SPLIT
  START STATS_AUTO_RECALC STATS_BUCKETS STATS_COL_CHOICE STATS_COL_LIST STATS_OPTIONS STATS_PERSISTENT STATS_SAMPLE_PAGES
  STATS_SAMPLE_RATE STATS_TOPN STORAGE TABLESPACE TABLE_CHECKSUM TIFLASH TRANSACTIONAL TTL TTL_ENABLE TTL_JOB_INTERVAL TYPE UNION
  UPGRADE VALIDATE WAIT WITH WITHOUT`.split(/\s+/),
);

/** Reads everything behind the table's name. */
export function readClauses(tokens: readonly Token[], database: string): Clause[] {
  const clauses: Clause[] = [];
  let rest = tokens;
  // PARTITION BY and REMOVE PARTITIONING stand behind all clauses, without a comma.
  const by = findOutside(rest, "PARTITION", "BY");
  const remove = findOutside(rest, "REMOVE", "PARTITIONING");
  const end = by >= 0 ? by : remove;
  let behind: Clause | undefined;
  if (by >= 0) {
    const cursor = new Cursor(rest.slice(by + 2));
    behind = { do: "partition", change: { op: "by", partitioning: readPartitioning(cursor) } };
  } else if (remove >= 0) behind = { do: "partition", change: { op: "remove" } };
  if (end >= 0) rest = rest.slice(0, end);
  let start = 0;
  for (const part of split(rest, ",")) {
    const change = readPartitionChange(new Cursor(rest.slice(start)), database);
    if (change) {
      // It may have commas of its own, and nothing stands behind it.
      clauses.push(change);
      break;
    }
    if (part.length > 0) clauses.push(...readClause(part, clauses.at(-1), database));
    start += part.length + 1;
  }
  if (behind) clauses.push(behind);
  return clauses;
}

function readClause(tokens: readonly Token[], before: Clause | undefined, database: string): Clause[] {
  const cursor = new Cursor(tokens);
  const other = (what: string): Clause[] => [{ do: "other", what }];
  if (cursor.take("ADD")) return readAdd(cursor, database);
  if (cursor.take("DROP")) return [readDrop(cursor)];
  if (cursor.is("MODIFY") || cursor.is("CHANGE")) {
    const renames = cursor.next()!.upper === "CHANGE";
    cursor.take("COLUMN");
    const ifExists = cursor.takeIfExists();
    const name = renames ? cursor.name("a column") : undefined;
    const { column, position } = readColumn(cursor.rest);
    return [{ do: "change", name: name ?? column.name, column, position, ifExists }];
  }
  if (cursor.take("RENAME")) return [readRename(cursor, database)];
  if (cursor.take("ALTER")) {
    if (cursor.isOneOf("INDEX", "KEY", "CHECK", "CONSTRAINT")) return other("an index or a constraint");
    cursor.take("COLUMN");
    cursor.takeIfExists();
    const name = cursor.name("a column");
    if (cursor.take("SET", "DEFAULT")) return [{ do: "default", name, default: readDefault(cursor) }];
    if (cursor.take("DROP", "DEFAULT")) return [{ do: "default", name, default: { kind: "none" } }];
    if (cursor.take("SET") || cursor.take("DROP")) return other("a column's visibility");
    return [{ do: "unknown", what: textOf(tokens) }];
  }
  const [first] = tokens;
  if (first?.kind === "word") {
    if (cursor.is("SET")) return other("an option");
    if (OTHERS.has(first.upper)) return other(first.upper);
    // An option of another engine or a later version: NAME = VALUE.
    if (isWord(tokens[1], "=")) return other(first.upper);
  }
  // ORDER BY a, b DESC: the comma belongs to it.
  const order = before?.do === "other" && before.what === "ORDER";
  if (order && isName(first)) return other("ORDER");
  // A value list of an option: UNION = (a), STATS_COL_LIST = 'a', 'b'.
  if (before?.do === "other" && first?.kind === "string" && !first.double) return other(before.what);
  return [{ do: "unknown", what: textOf(tokens) }];
}

function readAdd(cursor: Cursor, database: string): Clause[] {
  if (cursor.isOneOf("STATS_EXTENDED") || cursor.is("SYSTEM", "VERSIONING"))
    return [{ do: "other", what: "an option" }];
  const named = cursor.take("COLUMN");
  const ifNotExists = cursor.takeIfExists();
  if (cursor.is("(")) {
    const clauses: Clause[] = [];
    for (const part of split(cursor.parenthesis(), ",")) clauses.push(...added(part, database, false, false));
    return clauses;
  }
  return added(cursor.rest, database, named, ifNotExists);
}

function added(
  tokens: readonly Token[],
  database: string,
  isColumn: boolean,
  ifNotExists: boolean,
): Clause[] {
  const element = isColumn
    ? ({ kind: "column", ...readColumn(tokens) } as const)
    : readElement(tokens, database);
  if (element.kind === "column") {
    const { column, position } = element;
    return [{ do: "add", column, position, ifNotExists }];
  }
  if (element.kind === "primary") return [{ do: "add-primary", key: element.key }];
  if (element.kind === "unique") return [{ do: "add-unique", key: element.key }];
  const index = ["INDEX", "KEY", "FULLTEXT", "SPATIAL", "VECTOR", "COLUMNAR"].includes(
    tokens[0]?.upper ?? "",
  );
  return [{ do: "other", what: index ? "an index" : "a key or a constraint" }];
}

function readDrop(cursor: Cursor): Clause {
  if (cursor.take("PRIMARY", "KEY")) return { do: "drop-primary" };
  if (cursor.take("INDEX") || cursor.take("KEY")) {
    cursor.takeIfExists();
    const name = cursor.name("an index");
    return name.toUpperCase() === "PRIMARY" ? { do: "drop-primary" } : { do: "drop-index", name };
  }
  if (cursor.take("CONSTRAINT")) {
    // A unique key is a constraint, too.
    cursor.takeIfExists();
    return { do: "drop-index", name: cursor.name("a constraint") };
  }
  if (
    cursor.isOneOf("FOREIGN", "CHECK", "STATS_EXTENDED") ||
    cursor.is("SYSTEM", "VERSIONING") ||
    cursor.is("PERIOD", "FOR")
  )
    return { do: "other", what: "a key or a constraint" };
  cursor.take("COLUMN");
  const ifExists = cursor.takeIfExists();
  return { do: "drop", name: cursor.name("a column"), ifExists };
}

function readRename(cursor: Cursor, database: string): Clause {
  if (cursor.take("COLUMN")) {
    const ifExists = cursor.takeIfExists();
    const name = cursor.name("a column");
    cursor.take("TO");
    return { do: "rename-column", name, to: cursor.name("a column"), ifExists };
  }
  if (cursor.take("INDEX") || cursor.take("KEY")) {
    cursor.takeIfExists();
    const name = cursor.name("an index");
    cursor.take("TO");
    return { do: "rename-index", name, to: cursor.name("an index") };
  }
  if (cursor.takeOneOf("TO", "AS", "=") === undefined) cursor.take("TO");
  return { do: "rename-table", to: cursor.table(database) };
}

/** A clause about partitions, which stands alone; undefined if it is none. */
function readPartitionChange(cursor: Cursor, database: string): Clause | undefined {
  const local = () => void cursor.takeOneOf("NO_WRITE_TO_BINLOG", "LOCAL");
  const as = (change: PartitionChange): Clause => ({ do: "partition", change });
  const names = () => {
    if (cursor.take("ALL")) return undefined;
    const all = [cursor.name("a partition")];
    while (cursor.take(",")) all.push(cursor.name("a partition"));
    return all;
  };
  const bound = () => (cursor.is("(") ? cursor.parenthesis() : cursor.rest);
  if (cursor.take("ADD", "PARTITION")) {
    local();
    cursor.takeIfExists();
    if (cursor.take("PARTITIONS")) return as({ op: "count", by: Number(cursor.next()?.text) });
    return as({ op: "add", partitions: readPartitions(cursor.parenthesis()) });
  }
  if (cursor.take("COALESCE", "PARTITION")) {
    local();
    return as({ op: "count", by: -Number(cursor.next()?.text) });
  }
  if (cursor.take("DROP", "PARTITION")) {
    cursor.takeIfExists();
    return as({ op: "drop", names: names() });
  }
  if (cursor.take("TRUNCATE", "PARTITION")) return as({ op: "truncate", names: names() });
  if (cursor.take("REORGANIZE", "PARTITION")) {
    local();
    // Without names it only moves rows between the partitions that are there.
    if (cursor.atEnd) return { do: "other", what: "REORGANIZE PARTITION" };
    const from = names() ?? [];
    cursor.take("INTO");
    return as({ op: "reorganize", names: from, into: readPartitions(cursor.parenthesis()) });
  }
  if (cursor.take("EXCHANGE", "PARTITION")) {
    const name = cursor.name("a partition");
    cursor.take("WITH", "TABLE");
    return as({ op: "exchange", name, table: cursor.table(database) });
  }
  if (cursor.take("CONVERT", "PARTITION")) {
    const name = cursor.name("a partition");
    cursor.take("TO", "TABLE");
    return as({ op: "to-table", name, table: cursor.table(database) });
  }
  if (cursor.take("CONVERT", "TABLE")) {
    const table = cursor.table(database);
    cursor.take("TO");
    const [partition] = readPartitions(cursor.rest);
    return as({ op: "from-table", partition: partition!, table });
  }
  if (
    cursor.take("FIRST", "PARTITION", "LESS", "THAN") ||
    cursor.take("MERGE", "FIRST", "PARTITION", "LESS", "THAN")
  )
    return as({ op: "first", bound: bound() });
  if (cursor.take("LAST", "PARTITION", "LESS", "THAN")) return as({ op: "last", bound: bound() });
  if (cursor.take("SPLIT", "MAXVALUE", "PARTITION", "LESS", "THAN"))
    return as({ op: "split", bound: bound() });
  // Others name partitions, with commas between them, and change neither rows nor partitions.
  const verb = ["ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR", "DISCARD", "IMPORT"].find((one) =>
    cursor.is(one, "PARTITION"),
  );
  if (verb) return { do: "other", what: `${verb} PARTITION` };
  return undefined;
}

const textOf = (tokens: readonly Token[]) =>
  tokens
    .slice(0, 6)
    .map((one) => one.text)
    .join(" ")
    .slice(0, 80);
