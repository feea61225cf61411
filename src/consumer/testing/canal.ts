/** Makes a change log of transactions of a binary log, in the forms of TiCDC and of Canal. */
import type { Image, RowEvent, Transaction } from "./binlog.ts";

export interface ServerColumn {
  readonly name: string;
  /** `varchar` */
  readonly dataType: string;
  /** `varchar(20)` */
  readonly columnType: string;
  readonly charset: string | null;
  readonly primary: boolean;
  readonly virtual: boolean;
}

export type Form = "ticdc" | "canal";

type Columns = (row: RowEvent) => readonly ServerColumn[];
type Values = Record<string, string | null>;

/** @param columnsOf the columns of a row's table at that time; none: the row is no table's */
export function writeCanal(transactions: readonly Transaction[], columnsOf: Columns, form: Form): string {
  const lines: string[] = [];
  let commitTs = 449779372969249750n;
  for (const { seconds, events } of transactions) {
    commitTs += 1n << 18n;
    const common = { id: 0, es: seconds * 1000, ts: seconds * 1000 };
    const tidb = form === "ticdc" ? { _tidb: { commitTs: `${commitTs}` } } : {};
    const write = (message: object) => lines.push(JSON.stringify({ ...common, ...message, ...tidb }));
    for (const [index, event] of events.entries()) {
      if (event.kind === "ddl") {
        const { database, sql } = event;
        const own = /^(?:create|drop|alter) (?:database|schema)(?: if (?:not )?exists)? `?(\w+)/i.exec(
          sql,
        )?.[1];
        const ddl = {
          database: own ?? database,
          table: "",
          pkNames: null,
          isDdl: true,
          type: kindOf(sql),
          sql,
        };
        write({ ...ddl, data: null, old: null, mysqlType: null, sqlType: null });
        continue;
      }
      const columns = columnsOf(event).filter((one) => form === "canal" || !one.virtual);
      const all = columnsOf(event);
      const values = (image: Image): Values =>
        Object.fromEntries(
          columns.map((one) => [one.name, canalValue(image.get(all.indexOf(one) + 1) ?? null, one)]),
        );
      const { database, table, type } = event;
      const data = values(event.after ?? event.before!);
      const before = event.type === "UPDATE" ? values(event.before!) : undefined;
      const old =
        before &&
        (form === "ticdc"
          ? before
          : Object.fromEntries(Object.entries(before).filter(([name, value]) => value !== data[name])));
      const previous = events[index - 1];
      // Canal writes the rows of one event of the log as one message.
      const same =
        form === "canal" &&
        previous?.kind === "row" &&
        previous.position === event.position &&
        previous.table === table &&
        previous.type === type;
      if (same) {
        const message = JSON.parse(lines.pop()!) as { data: Values[]; old: Values[] | null };
        lines.push(
          JSON.stringify({
            ...message,
            data: [...message.data, data],
            old: old ? [...message.old!, old] : null,
          }),
        );
        continue;
      }
      const keys = columns.filter((one) => one.primary).map((one) => one.name);
      write({
        database,
        table,
        pkNames: keys.length > 0 ? keys : null,
        isDdl: false,
        type,
        sql: "",
        sqlType: null,
        mysqlType: Object.fromEntries(
          columns.map((one) => [one.name, form === "canal" ? one.columnType : shortType(one)]),
        ),
        data: [data],
        old: old ? [old] : null,
      });
    }
  }
  return `${lines.join("\n")}\n`;
}

/** TiCDC leaves lengths out. */
const shortType = ({ dataType, columnType }: ServerColumn) =>
  columnType.includes("unsigned") ? `${dataType} unsigned` : dataType;

const KINDS: readonly [RegExp, string][] = [
  [/^create (or replace )?table/i, "CREATE"],
  [/^alter table/i, "ALTER"],
  [/^drop table/i, "ERASE"],
  [/^rename table/i, "RENAME"],
  [/^truncate/i, "TRUNCATE"],
  [/^create (or replace )?(unique |fulltext )?index/i, "CINDEX"],
  [/^drop index/i, "DINDEX"],
];
const kindOf = (sql: string) => KINDS.find(([head]) => head.test(sql))?.[1] ?? "QUERY";

const DECODERS: Record<string, string> = {
  latin1: "windows-1252",
  utf16: "utf-16be",
  ucs2: "utf-16be",
  gbk: "gbk",
};

function canalValue(printed: string | null, column: ServerColumn): string | null {
  if (printed === null) return null;
  const { dataType, columnType, charset } = column;
  const elements = () =>
    [...columnType.matchAll(/'((?:[^']|'')*)'/g)].map(([, text]) => text!.replaceAll("''", "'"));
  switch (dataType) {
    case "enum":
      return elements()[Number(printed) - 1] ?? "";
    case "set": {
      const bits = BigInt(`0b${printed}`);
      return elements()
        .filter((_, index) => (bits >> BigInt(index)) & 1n)
        .join();
    }
    case "bit":
      return BigInt(`0b${printed}`).toString();
    case "date":
      return printed.replaceAll(":", "-");
    case "year":
      // The year 0 is printed as 1900, which is no year of that type.
      return printed === "1900" ? "0000" : printed;
    case "timestamp": {
      const [seconds = "", fraction] = printed.split(".");
      if (Number(seconds) === 0) return `0000-00-00 00:00:00${fraction ? `.${fraction}` : ""}`;
      const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replace("T", " ");
      return fraction ? `${text}.${fraction}` : text;
    }
    case "float":
    case "double":
      return `${Number(printed)}`;
    case "uuid":
      return uuid(printed);
    case "inet4":
      return [...Buffer.from(printed.padEnd(4, "\0"), "latin1")].join(".");
    case "inet6":
      return inet6(Buffer.from(printed, "latin1"));
    case "binary": {
      // The log leaves zeros at the end out.
      const length = Number(/\((\d+)\)/.exec(columnType)![1]);
      return printed.padEnd(length, "\0");
    }
  }
  const unsigned = /^-?\d+ \((\d+)\)$/.exec(printed);
  if (unsigned) return columnType.includes("unsigned") ? unsigned[1]! : printed.split(" ")[0]!;
  if (charset === null) return printed;
  return new TextDecoder(DECODERS[charset] ?? "utf-8", { fatal: true }).decode(
    Buffer.from(printed, "latin1"),
  );
}

function uuid(bytes: string): string {
  const hex = Buffer.from(bytes, "latin1").toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function inet6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}
