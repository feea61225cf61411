/**
 * What a statement is, from its head: which tables it creates, drops, moves or changes. Everything that MySQL 8 and 9, MariaDB
 * and TiDB can log is known by its head; clauses that are not known leave a warning and touch the table.
 */
import { type Clause, readClauses } from "./alter.ts";
import { type ColumnDefinition, type KeyDefinition, readElement, readKey } from "./columns.ts";
import { Cursor, findOutside, isName, isWord, split, type TableName } from "./cursor.ts";
import { type Partitioning, readPartitioning } from "./partitions.ts";
import { type Token, tokenize, UnknownStatement } from "./tokens.ts";

export type Statement =
  /** Touches no table; `what` says why. */
  | { readonly kind: "nothing"; readonly what: string }
  | {
      readonly kind: "create-database";
      readonly database: string;
      readonly ifNotExists: boolean;
      readonly orReplace: boolean;
    }
  | { readonly kind: "drop-database"; readonly database: string; readonly ifExists: boolean }
  | { readonly kind: "alter-database"; readonly database: string }
  | { readonly kind: "create-view"; readonly view: TableName }
  | { readonly kind: "drop-view"; readonly views: readonly TableName[] }
  /** A thing that shares its name space with tables and has no rows that a log carries. */
  | { readonly kind: "create-other"; readonly name: TableName; readonly what: OtherThing }
  | { readonly kind: "drop-other"; readonly names: readonly TableName[]; readonly what: OtherThing }
  | CreateTable
  | {
      readonly kind: "drop-table";
      readonly tables: readonly TableName[];
      readonly ifExists: boolean;
    }
  | { readonly kind: "truncate-table"; readonly table: TableName }
  | {
      readonly kind: "rename-table";
      readonly renames: readonly { readonly from: TableName; readonly to: TableName }[];
      readonly ifExists: boolean;
    }
  | {
      readonly kind: "alter-table";
      /** MariaDB's ALTER IGNORE: of rows that a new key does not let be, one stays. */
      readonly ignore?: boolean;
      readonly table: TableName;
      readonly ifExists: boolean;
      readonly clauses: readonly Clause[];
    }
  /** RECOVER TABLE, FLASHBACK TABLE. Without a table: by the number of a job. */
  | {
      readonly kind: "recover-table";
      readonly table: TableName | undefined;
      readonly to: TableName | undefined;
    }
  | { readonly kind: "recover-database"; readonly database: string; readonly to: string }
  /** Its head is not known. */
  | { readonly kind: "unknown"; readonly head: string };

export type OtherThing = "view" | "sequence" | "temporary table";

export interface CreateTable {
  readonly kind: "create-table";
  readonly table: TableName;
  readonly ifNotExists: boolean;
  readonly orReplace: boolean;
  readonly like: TableName | undefined;
  readonly columns: readonly ColumnDefinition[];
  readonly keys: readonly { readonly primary: boolean; readonly key: KeyDefinition }[];
  readonly partitioning: Partitioning | undefined;
  /** CREATE TABLE ... SELECT: every name that its query holds; some are tables. */
  readonly selects: readonly TableName[] | undefined;
}

/** Heads of statements that touch no table and no rows. */
const NOTHING = new Set(
  `ADMIN ANALYZE BACKUP BEGIN BINLOG CACHE CALIBRATE CALL CANCEL CHANGE CHECK CHECKSUM CLONE COMMIT DEALLOCATE DELIMITER DESC
  DESCRIBE DISTRIBUTE DO EXECUTE EXPLAIN FLUSH GET GRANT HANDLER HELP INSTALL KILL LOCK OPTIMIZE PAUSE PLAN PREPARE PURGE
  QUERY RECOMMEND REFRESH RELEASE REPAIR RESET RESIGNAL RESTART RESTORE RESUME REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW
  SHUTDOWN SIGNAL SPLIT START STOP TRACE TRAFFIC UNINSTALL UNLOCK USE VALUES XA`.split(/\s+/),
);

/** What CREATE, ALTER and DROP may name that no table is. */
const OBJECTS = new Set(
  `AGGREGATE BINDING CATALOG EVENT FUNCTION GLOBAL INSTANCE LIBRARY LOGFILE MASKING PACKAGE PLACEMENT PREPARE PROCEDURE PUBLIC
  RANGE RESOURCE ROLE SERVER SESSION SPATIAL_REFERENCE STATISTICS SYNONYM TABLESPACE TRIGGER UNDO USER WORKLOAD`.split(
    /\s+/,
  ),
);

const ROW_STATEMENTS = new Set([
  "INSERT",
  "UPDATE",
  "DELETE",
  "REPLACE",
  "LOAD",
  "IMPORT",
  "WITH",
  "BATCH",
  "TABLE",
]);

/**
 * Reads a DDL of a log: most often one statement; several with semicolons between them are read one by one.
 * @param database the one that names without a schema belong to
 * @throws UnknownStatement if quotes, parentheses or names are damaged
 */
export function readStatements(sql: string, database: string): ReadStatement[] {
  const tokens = tokenize(sql);
  // The body of a routine has semicolons of its own.
  if (isRoutine(new Cursor(tokens)))
    return [{ statement: { kind: "nothing", what: "a stored program" }, text: sql }];
  const parts = split(tokens, ";").filter((part) => part.length > 0);
  if (parts.length === 0) return [{ statement: { kind: "nothing", what: "a comment" }, text: sql }];
  return parts.map((part, index) => {
    // From behind the last semicolon to before the next one: an executable comment may end behind the last token.
    const start = index === 0 ? 0 : nextSemicolon(tokens, parts[index - 1]!.at(-1)!.end, sql) + 1;
    const text = sql.slice(start, nextSemicolon(tokens, part.at(-1)!.end, sql)).trim();
    return { statement: readStatement(new Cursor(part), database), text };
  });
}

export interface ReadStatement {
  readonly statement: Statement;
  readonly text: string;
}

const nextSemicolon = (tokens: readonly Token[], from: number, sql: string) =>
  tokens.find((one) => one.start >= from && isWord(one, ";"))?.start ?? sql.length;

/** CREATE [OR REPLACE] [DEFINER = ...] PROCEDURE and the like, and compound statements. */
function isRoutine(cursor: Cursor): boolean {
  if (cursor.is("BEGIN", "NOT", "ATOMIC")) return true;
  if (!cursor.isOneOf("CREATE", "ALTER")) return false;
  cursor.skip();
  skipDecoration(cursor);
  return cursor.isOneOf("PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE", "AGGREGATE", "LIBRARY");
}

/** OR REPLACE, ALGORITHM = x, DEFINER = x, SQL SECURITY x: what stands before the kind of a thing. */
function skipDecoration(cursor: Cursor): { orReplace: boolean } {
  let orReplace = false;
  for (;;) {
    if (cursor.take("OR", "REPLACE")) orReplace = true;
    else if (cursor.take("ALGORITHM")) {
      cursor.take("=");
      cursor.skip();
    } else if (cursor.take("DEFINER")) {
      cursor.take("=");
      cursor.skip();
      if (cursor.is("(")) cursor.parenthesis();
      if (cursor.take("@")) cursor.skip();
    } else if (cursor.take("SQL", "SECURITY")) cursor.skip();
    else return { orReplace };
  }
}

function readStatement(cursor: Cursor, database: string): Statement {
  const nothing = (what: string): Statement => ({ kind: "nothing", what });
  const head = cursor.peek();
  if (head === undefined || isWord(head, "(")) return nothing("a query");
  const word = head.upper;
  if (word === "SET" && cursor.is("SET", "STATEMENT")) {
    // MariaDB: SET STATEMENT variable = value FOR statement.
    const inner = findOutside(cursor.rest, "FOR");
    if (inner >= 0) return readStatement(new Cursor(cursor.rest.slice(inner + 1)), database);
  }
  if (cursor.is("EXECUTE", "IMMEDIATE")) {
    const text = cursor.peek(2);
    if (text?.kind === "string") return readStatements(text.text, database)[0]!.statement;
  }
  if (word === "EXPLAIN" || word === "DESC" || word === "TRACE") return nothing("a query");
  if (cursor.is("ALTER")) return readAlter(cursor, database);
  if (cursor.is("CREATE")) return readCreate(cursor, database);
  if (cursor.is("DROP")) return readDrop(cursor, database);
  if (cursor.take("TRUNCATE")) {
    cursor.take("TABLE");
    return { kind: "truncate-table", table: cursor.table(database) };
  }
  if (cursor.take("RENAME")) {
    if (cursor.takeOneOf("TABLE", "TABLES") === undefined) return nothing("a user");
    return readRename(cursor, database);
  }
  if (cursor.isOneOf("RECOVER", "FLASHBACK", "UNDROP")) return readRecover(cursor, database);
  if (ROW_STATEMENTS.has(word)) {
    const query =
      word === "TABLE" ||
      cursor.is("LOAD", "INDEX") ||
      cursor.is("LOAD", "STATS") ||
      (word === "WITH" && findRowStatement(cursor.rest) < 0);
    if (query) return nothing("a query");
    throw new UnknownStatement(
      `this ${word} is logged as a statement, and what rows it changes cannot be known from it: let the server log rows (binlog_format=ROW)`,
    );
  }
  if (NOTHING.has(word)) return nothing(word);
  return { kind: "unknown", head: word || head.text };
}

const findRowStatement = (tokens: readonly Token[]) =>
  Math.max(...["UPDATE", "DELETE", "INSERT", "REPLACE"].map((one) => findOutside(tokens, one)));

function readCreate(cursor: Cursor, database: string): Statement {
  cursor.skip();
  const { orReplace } = skipDecoration(cursor);
  const external = cursor.take("EXTERNAL");
  const temporary =
    cursor.take("GLOBAL", "TEMPORARY") || cursor.take("LOCAL", "TEMPORARY") || cursor.take("TEMPORARY");
  if (cursor.takeOneOf("DATABASE", "SCHEMA") !== undefined) {
    const ifNotExists = cursor.takeIfExists();
    return { kind: "create-database", database: cursor.name("a database"), ifNotExists, orReplace };
  }
  if (cursor.take("TABLE") || (external && cursor.take("TABLE"))) {
    const ifNotExists = cursor.takeIfExists();
    if (!temporary) return readCreateTable(cursor, database, ifNotExists, orReplace);
    return { kind: "create-other", name: cursor.table(database), what: "temporary table" };
  }
  if (cursor.take("SEQUENCE")) {
    cursor.takeIfExists();
    return { kind: "create-other", name: cursor.table(database), what: "sequence" };
  }
  // MATERIALIZED VIEW, JSON RELATIONAL DUALITY VIEW.
  const view = findOutside(cursor.rest.slice(0, 5), "VIEW");
  if (
    view >= 0 &&
    view <= 3 &&
    cursor.rest.slice(0, view).every((one) => one.kind === "word" && !OBJECTS.has(one.upper))
  ) {
    cursor.skip(view + 1);
    cursor.takeIfExists();
    return { kind: "create-view", view: cursor.table(database) };
  }
  // CREATE [ONLINE] [UNIQUE] INDEX name ON table (...)
  const index = findOutside(cursor.rest.slice(0, 4), "INDEX");
  const on = findOutside(cursor.rest, "ON");
  if (index >= 0 && on > index) {
    const unique = cursor.is("UNIQUE") || cursor.is("ONLINE", "UNIQUE") || cursor.is("OFFLINE", "UNIQUE");
    cursor.skip(index + 1);
    cursor.takeIfExists();
    const named = !cursor.isOneOf("ON", "USING");
    const name = named ? cursor.name("an index") : "";
    while (!cursor.atEnd && !cursor.take("ON")) cursor.skip();
    const table = cursor.table(database);
    const key = { ...readKey(cursor, ""), name };
    const clauses: Clause[] = unique ? [{ do: "add-unique", key }] : [{ do: "other", what: "an index" }];
    return { kind: "alter-table", table, ifExists: false, clauses };
  }
  return readObject(cursor, "CREATE");
}

function readObject(cursor: Cursor, verb: string): Statement {
  const word = cursor.peek()?.upper ?? "";
  const spatial = cursor.is("SPATIAL", "REFERENCE");
  const stored = findOutside(cursor.rest.slice(0, 6), "PROCEDURE") >= 0;
  if (OBJECTS.has(word) || spatial || stored || cursor.isOneOf("SQL", "LOADABLE", "BOUND"))
    return { kind: "nothing", what: `${verb} ${word}` };
  return { kind: "unknown", head: `${verb} ${word || (cursor.peek()?.text ?? "")}` };
}

function readCreateTable(
  cursor: Cursor,
  database: string,
  ifNotExists: boolean,
  orReplace: boolean,
): CreateTable {
  const table = cursor.table(database);
  const columns: ColumnDefinition[] = [];
  const keys: { primary: boolean; key: KeyDefinition }[] = [];
  let like: TableName | undefined;
  let selects: TableName[] | undefined;
  if (cursor.take("LIKE")) like = cursor.table(database);
  else if (cursor.is("(")) {
    const inside = cursor.parenthesis();
    if (["SELECT", "WITH", "VALUES", "TABLE", "("].some((word) => isWord(inside[0], word)))
      selects = namesIn(inside, database);
    else
      for (const part of split(inside, ",")) {
        if (part.length === 0) continue;
        const element = readElement(part, database);
        if (element.kind === "column") columns.push(element.column);
        else if (element.kind === "like") like = element.like;
        else if (element.kind !== "other")
          keys.push({ primary: element.kind === "primary", key: element.key });
      }
  }
  let rest = cursor.rest;
  const query = queryStart(rest);
  if (query >= 0) {
    selects = namesIn(rest.slice(query), database);
    rest = rest.slice(0, query);
  }
  const by = findOutside(rest, "PARTITION", "BY");
  const partitioning = by >= 0 ? readPartitioning(new Cursor(rest.slice(by + 2))) : undefined;
  return {
    kind: "create-table",
    table,
    ifNotExists,
    orReplace,
    like,
    columns,
    keys,
    partitioning,
    selects,
  };
}

/** Where the query of a CREATE TABLE ... SELECT begins behind its options; -1 if it has none. */
function queryStart(tokens: readonly Token[]): number {
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    const query = ["SELECT", "VALUES", "TABLE", "AS"].some((word) => isWord(token, word));
    // WITH SYSTEM VERSIONING and WITH PARSER are options.
    const clause = isWord(token, "WITH") && isName(tokens[index + 1]) && !isWord(tokens[index + 1], "SYSTEM");
    const inner = isWord(token, "(") && isWord(tokens[index + 1], "SELECT");
    const option = isWord(tokens[index - 1], "=") || isWord(tokens[index - 1], ".");
    if (depth === 0 && !option && (query || clause || inner)) return index;
    if (isWord(token, "(")) depth++;
    else if (isWord(token, ")")) depth--;
  }
  return -1;
}

/** Every name of a query, alone and with the one before its dot: those that tables have are looked up. */
function namesIn(tokens: readonly Token[], database: string): TableName[] {
  const names: TableName[] = [];
  for (const [index, token] of tokens.entries()) {
    if (!isName(token)) continue;
    names.push({ schema: database, table: token.text });
    const next = tokens[index + 2];
    if (isWord(tokens[index + 1], ".") && isName(next)) names.push({ schema: token.text, table: next.text });
  }
  return names;
}

function readAlter(cursor: Cursor, database: string): Statement {
  cursor.skip();
  skipDecoration(cursor);
  if (cursor.takeOneOf("DATABASE", "SCHEMA") !== undefined) return readAlterDatabase(cursor, database);
  if (cursor.take("VIEW")) return { kind: "create-view", view: cursor.table(database) };
  if (cursor.take("SEQUENCE")) return { kind: "nothing", what: "ALTER SEQUENCE" };
  let ignore = false;
  for (;;) {
    const word = cursor.takeOneOf("ONLINE", "OFFLINE", "IGNORE");
    if (word === undefined) break;
    ignore ||= word === "IGNORE";
  }
  if (!cursor.take("TABLE")) return readObject(cursor, "ALTER");
  const ifExists = cursor.takeIfExists();
  const table = cursor.table(database);
  takeWait(cursor);
  // A new name without a schema is one of the session's database.
  return {
    kind: "alter-table",
    ...(ignore && { ignore }),
    table,
    ifExists,
    clauses: readClauses(cursor.rest, database || table.schema),
  };
}

/** MariaDB: WAIT n, NOWAIT. */
function takeWait(cursor: Cursor): void {
  if (cursor.take("WAIT")) cursor.skip();
  else cursor.take("NOWAIT");
}

/** Options of databases: what may stand where the name may be left out. */
const DATABASE_OPTIONS = [
  "DEFAULT",
  "CHARACTER",
  "CHARSET",
  "COLLATE",
  "ENCRYPTION",
  "READ",
  "PLACEMENT",
  "SET",
  "COMMENT",
  "UPGRADE",
];

function readAlterDatabase(cursor: Cursor, database: string): Statement {
  const named = !cursor.atEnd && !cursor.isOneOf(...DATABASE_OPTIONS);
  // `character` and the like can be names, too: then an option stands behind them.
  const name = named ? cursor.name("a database") : database;
  if (name === "")
    throw new UnknownStatement(
      "it names no database, and the message has none either: write it into database",
    );
  return { kind: "alter-database", database: name };
}

function readDrop(cursor: Cursor, database: string): Statement {
  cursor.skip();
  if (cursor.takeOneOf("DATABASE", "SCHEMA") !== undefined) {
    const ifExists = cursor.takeIfExists();
    return { kind: "drop-database", database: cursor.name("a database"), ifExists };
  }
  const temporary = cursor.take("GLOBAL", "TEMPORARY") || cursor.take("TEMPORARY");
  if (cursor.takeOneOf("TABLE", "TABLES") !== undefined) {
    const ifExists = cursor.takeIfExists();
    const tables = cursor.tables(database);
    if (temporary) return { kind: "drop-other", names: tables, what: "temporary table" };
    return { kind: "drop-table", tables, ifExists };
  }
  if (cursor.take("MATERIALIZED", "VIEW") || cursor.take("VIEW")) {
    cursor.takeIfExists();
    return { kind: "drop-view", views: cursor.tables(database) };
  }
  if (cursor.take("SEQUENCE")) {
    cursor.takeIfExists();
    return { kind: "drop-other", names: cursor.tables(database), what: "sequence" };
  }
  while (cursor.takeOneOf("ONLINE", "OFFLINE", "HYPO") !== undefined);
  if (cursor.take("INDEX")) {
    const ifExists = cursor.takeIfExists();
    const name = cursor.name("an index");
    if (!cursor.take("ON")) throw new UnknownStatement("DROP INDEX names no table");
    const table = cursor.table(database);
    const clauses: Clause[] = [
      name.toUpperCase() === "PRIMARY" ? { do: "drop-primary" } : { do: "drop-index", name },
    ];
    return { kind: "alter-table", table, ifExists, clauses };
  }
  return readObject(cursor, "DROP");
}

function readRename(cursor: Cursor, database: string): Statement {
  const ifExists = cursor.takeIfExists();
  const renames: { from: TableName; to: TableName }[] = [];
  do {
    cursor.takeIfExists();
    const from = cursor.table(database);
    takeWait(cursor);
    if (!cursor.take("TO")) throw new UnknownStatement("RENAME TABLE has a name without TO");
    renames.push({ from, to: cursor.table(database) });
  } while (cursor.take(","));
  return { kind: "rename-table", renames, ifExists };
}

function readRecover(cursor: Cursor, database: string): Statement {
  const flashback = cursor.next()!.upper === "FLASHBACK";
  if (cursor.takeOneOf("DATABASE", "SCHEMA") !== undefined) {
    const name = cursor.name("a database");
    const to = cursor.take("TO") ? cursor.name("a database") : name;
    return { kind: "recover-database", database: name, to };
  }
  const cluster =
    cursor.is("CLUSTER") ||
    findOutside(cursor.rest, "TIMESTAMP") >= 0 ||
    findOutside(cursor.rest, "TSO") >= 0;
  if (flashback && cluster)
    throw new UnknownStatement(
      "it takes tables back to an earlier time, and the log does not have the rows that come back: start the log behind it",
    );
  cursor.take("TABLE");
  if (cursor.take("BY", "JOB")) return { kind: "recover-table", table: undefined, to: undefined };
  const table = cursor.table(database);
  // The new name stands alone: it stays in its database.
  const to = cursor.take("TO") ? cursor.table(table.schema) : undefined;
  return { kind: "recover-table", table, to };
}
