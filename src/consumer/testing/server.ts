/** What a server's tables are and hold, read from the server itself. */
import type { ServerColumn } from "./canal.ts";

export interface Connection {
  query(sql: string): Promise<[rows: Record<string, unknown>[], fields: unknown]>;
  end(): Promise<void>;
}

export interface ServerTable {
  readonly columns: readonly ServerColumn[];
  readonly rows: readonly (readonly (string | null)[])[];
}

const DRIVER: string = "mysql2/promise";
const OWN = "('information_schema', 'mysql', 'performance_schema', 'sys')";
const name = (text: string) => `\`${text.replaceAll("`", "``")}\``;

export async function connect(url: string): Promise<Connection> {
  const { createConnection } = (await import(DRIVER)) as {
    createConnection(options: object): Promise<Connection>;
  };
  return createConnection({
    uri: url,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    charset: "utf8mb4",
  });
}

const TABLES = "'BASE TABLE', 'SYSTEM VERSIONED'";

/** Columns of all tables by `database.table`, in their order: of sequences too, whose steps are rows in the binary log. */
export async function columnsOf(
  connection: Connection,
  kinds = `${TABLES}, 'SEQUENCE'`,
): Promise<Map<string, ServerColumn[]>> {
  const [found] = await connection.query(
    `SELECT CONCAT(c.table_schema, '.', c.table_name) AS id, column_name AS name, data_type AS dataType, column_type AS columnType,
      character_set_name AS charset, column_key = 'PRI' AS pk, extra LIKE '%VIRTUAL GENERATED%' AS virt
      FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
      WHERE c.table_schema NOT IN ${OWN} AND t.table_type IN (${kinds}) ORDER BY c.ordinal_position`,
  );
  const tables = new Map<string, ServerColumn[]>();
  for (const one of found) {
    const id = String(one["id"]);
    const { name, dataType, columnType, charset, pk, virt } = one;
    const column = {
      name,
      dataType,
      columnType,
      charset,
      primary: Number(pk) === 1,
      virtual: Number(virt) === 1,
    };
    tables.set(id, [...(tables.get(id) ?? []), column as ServerColumn]);
  }
  return tables;
}

/** All tables with their rows. Binary values are latin1 text, bits numbers: what Canal-JSON has. */
export async function dump(connection: Connection): Promise<Map<string, ServerTable>> {
  const tables = new Map<string, ServerTable>();
  for (const [id, columns] of await columnsOf(connection, TABLES)) {
    const [database = "", ...table] = id.split(".");
    const list = columns.map((one) => selected(one)).join(", ");
    const [rows] = await connection.query(`SELECT ${list} FROM ${name(database)}.${name(table.join("."))}`);
    tables.set(id, {
      columns,
      rows: rows.map((row) =>
        columns.map(({ name }) => {
          const value = row[name];
          if (value === null || value === undefined) return null;
          return Buffer.isBuffer(value) ? value.toString("latin1") : String(value);
        }),
      ),
    });
  }
  return tables;
}

function selected(column: ServerColumn): string {
  const one = name(column.name);
  if (column.dataType === "bit") return `CAST(${one} + 0 AS CHAR) AS ${one}`;
  // A row image has the number; blanks filled with zeros are a matter of the display.
  if (column.columnType.includes("zerofill")) return `CAST(${one} + 0 AS CHAR) AS ${one}`;
  if (/blob|binary|point|geometry|polygon|linestring|multi/.test(column.dataType))
    return `CAST(${one} AS BINARY) AS ${one}`;
  return `CAST(${one} AS CHAR) AS ${one}`;
}
