/**
 * Writes examples/shop.ndjson: a change log as TiCDC writes it in Canal-JSON with the TiDB extension. The same every time.
 *
 *     node examples/generate.ts [FILE]
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

interface Column {
  readonly name: string;
  readonly type: string;
  readonly sqlType: number;
  readonly make: (random: () => number, n: number) => string | null;
}

interface Table {
  schema: string;
  name: string;
  columns: Column[];
  keys: string[];
  rows: Map<string, Record<string, string | null>>;
  next: number;
}

const WORDS = [
  "tea",
  "Zürich",
  "naïve",
  "o'clock",
  '"quoted"',
  "東京",
  "tab\there",
  "back\\slash",
  "emoji 🧵",
  "",
];
const pick = <T>(random: () => number, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
const column = {
  id: (name = "id"): Column => ({ name, type: "bigint", sqlType: -5, make: (_, n) => String(n) }),
  code: (name: string): Column => ({
    name,
    type: "varchar(40)",
    sqlType: 12,
    make: (_, n) => `${name}-${n}`,
  }),
  text: (name: string): Column => ({
    name,
    type: "varchar(64)",
    sqlType: 12,
    make: (random) => (random() < 0.1 ? null : `${pick(random, WORDS)} ${Math.floor(random() * 1000)}`),
  }),
  amount: (name: string): Column => ({
    name,
    type: "decimal(12,2)",
    sqlType: 3,
    make: (random) =>
      `${Math.floor(random() * 100000)}.${String(Math.floor(random() * 100)).padStart(2, "0")}`,
  }),
  time: (name: string): Column => ({
    name,
    type: "datetime(6)",
    sqlType: 93,
    make: (random) =>
      `2026-0${1 + Math.floor(random() * 9)}-1${Math.floor(random() * 10)} 08:15:${10 + Math.floor(random() * 49)}.000123`,
  }),
  blob: (name: string): Column => ({
    name,
    type: "blob",
    sqlType: 2004,
    // Canal-JSON carries bytes as characters U+0000 to U+00FF.
    make: (random) =>
      random() < 0.2
        ? null
        : String.fromCharCode(...Array.from({ length: 6 }, () => Math.floor(random() * 256))),
  }),
  number: (name: string): Column => ({
    name,
    type: "int",
    sqlType: 4,
    make: (random) => String(Math.floor(random() * 1e6) - 5e5),
  }),
};

/** Repeatable numbers in [0, 1) (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The log, one line each. */
export function generate(): string[] {
  const random = numbers(4389);
  const lines: string[] = [];
  const tables = new Map<string, Table>();
  // A TSO: milliseconds since 1970, then 18 bits that count within one.
  let physical = 1_763_942_400_000n;
  let logical = 1n;
  const now = () => (physical << 18n) + logical;
  const later = (ms: number) => {
    physical += BigInt(ms);
    logical = BigInt(1 + Math.floor(random() * 1000));
  };

  const emit = (message: Record<string, unknown>) => {
    const es = Number(physical);
    const text = JSON.stringify({ id: 0, ...message, es, ts: es + 15, _tidb: { commitTs: "@" } });
    lines.push(text.replace('"@"', now().toString()));
  };
  const ddl = (type: string, database: string, table: string, sql: string) =>
    emit({
      database,
      table,
      pkNames: null,
      isDdl: true,
      type,
      sql,
      sqlType: null,
      mysqlType: null,
      data: null,
      old: null,
    });
  const row = (
    table: Table,
    type: string,
    data: Record<string, string | null>,
    old: Record<string, string | null> | null,
  ) =>
    emit({
      database: table.schema,
      table: table.name,
      pkNames: table.keys,
      isDdl: false,
      type,
      sql: "",
      sqlType: Object.fromEntries(table.columns.map((one) => [one.name, one.sqlType])),
      mysqlType: Object.fromEntries(table.columns.map((one) => [one.name, one.type])),
      data: [data],
      old: old && [old],
    });

  const create = (schema: string, name: string, columns: Column[], keys = [columns[0]!.name]) => {
    const table: Table = { schema, name, columns, keys, rows: new Map(), next: 1 };
    tables.set(`${schema}.${name}`, table);
    const definitions = columns.map(
      (one) => `\`${one.name}\` ${one.type.toUpperCase()}${keys.includes(one.name) ? " NOT NULL" : ""}`,
    );
    const primary = `PRIMARY KEY (${keys.map((key) => `\`${key}\``).join(", ")})`;
    ddl(
      "CREATE",
      schema,
      name,
      `CREATE TABLE \`${schema}\`.\`${name}\` (${[...definitions, primary].join(", ")})`,
    );
    later(20);
  };
  const table = (name: string) => tables.get(name)!;
  const keyOf = (one: Table, data: Record<string, string | null>) =>
    one.keys.map((key) => data[key]).join("/");
  const fresh = (one: Table) => {
    const n = one.next++;
    return Object.fromEntries(one.columns.map((each) => [each.name, each.make(random, n)]));
  };

  /** One transaction: a few rows of some tables under one commitTs, each row at most once. */
  const transaction = (among: readonly string[]) => {
    const touched = new Set<string>();
    const changes = 1 + Math.floor(random() * 4);
    for (let i = 0; i < changes; i++) {
      const one = table(pick(random, among));
      const dice = random();
      const known = [...one.rows.keys()];
      const key = known.length > 0 ? pick(random, known) : "";
      const id = (k: string) => `${one.schema}.${one.name} ${k}`;
      if (known.length < 5 || dice < 0.5) {
        const data = fresh(one);
        touched.add(id(keyOf(one, data)));
        one.rows.set(keyOf(one, data), data);
        row(one, "INSERT", data, null);
      } else if (!touched.has(id(key)) && dice < 0.85) {
        const old = one.rows.get(key)!;
        const others = one.columns.filter((each) => !one.keys.includes(each.name));
        const data = { ...old };
        for (const each of others) if (random() < 0.6) data[each.name] = each.make(random, one.next);
        touched.add(id(key));
        one.rows.set(key, data);
        row(one, "UPDATE", data, old);
      } else if (!touched.has(id(key))) {
        touched.add(id(key));
        row(one, "DELETE", one.rows.get(key)!, null);
        one.rows.delete(key);
        // An update of the key comes as a delete and an insert under one commitTs.
        if (dice > 0.95) {
          const data = fresh(one);
          touched.add(id(keyOf(one, data)));
          one.rows.set(keyOf(one, data), data);
          row(one, "INSERT", data, null);
        }
      }
    }
    later(1 + Math.floor(random() * 12));
  };
  const traffic = (transactions: number, among: readonly string[]) => {
    for (let i = 0; i < transactions; i++) transaction(among);
  };
  const alter = (
    name: string,
    type: string,
    change: string,
    columns?: (before: Column[]) => Column[],
    value: string | null = null,
  ) => {
    const one = table(name);
    ddl(type, one.schema, one.name, `ALTER TABLE \`${one.schema}\`.\`${one.name}\` ${change}`);
    later(1);
    if (!columns) return;
    const before = new Set(one.columns.map((each) => each.name));
    one.columns = columns(one.columns);
    const names = one.columns.map((each) => each.name);
    for (const [key, data] of one.rows)
      one.rows.set(
        key,
        Object.fromEntries(names.map((each) => [each, before.has(each) ? data[each]! : value])),
      );
  };
  const rename = (from: string, to: string) => {
    const one = table(from);
    const [schema, name] = to.split(".") as [string, string];
    ddl(
      "RENAME",
      one.schema,
      one.name,
      `RENAME TABLE \`${one.schema}\`.\`${one.name}\` TO \`${schema}\`.\`${name}\``,
    );
    later(1);
    tables.delete(from);
    tables.set(to, Object.assign(one, { schema, name }));
  };
  const drop = (name: string) => {
    const one = table(name);
    ddl("ERASE", one.schema, one.name, `DROP TABLE \`${one.schema}\`.\`${one.name}\``);
    later(3);
    tables.delete(name);
  };
  const truncate = (name: string) => {
    const one = table(name);
    ddl("TRUNCATE", one.schema, one.name, `TRUNCATE TABLE \`${one.schema}\`.\`${one.name}\``);
    later(1);
    one.rows.clear();
  };

  ddl("CREATE", "shop", "", "CREATE DATABASE `shop`");
  later(5);
  ddl("CREATE", "ledger", "", "CREATE DATABASE `ledger`");
  later(5);
  create("shop", "customers", [column.id(), column.text("name"), column.code("email"), column.time("since")]);
  create("shop", "orders", [
    column.id(),
    column.number("customer"),
    column.amount("total"),
    column.time("placed"),
  ]);
  create(
    "shop",
    "items",
    [column.id("order_id"), column.code("sku"), column.number("quantity")],
    ["order_id", "sku"],
  );
  create("shop", "products", [
    column.code("sku"),
    column.text("title"),
    column.amount("price"),
    column.blob("thumbnail"),
  ]);
  create("shop", "carts", [column.id(), column.text("content")]);
  create("ledger", "accounts", [column.id(), column.text("owner"), column.amount("balance")]);
  create("ledger", "entries", [
    column.id(),
    column.number("account"),
    column.amount("amount"),
    column.text("memo"),
  ]);
  create("ledger", "audit", [column.id(), column.text("what"), column.time("at")]);
  const shop = ["shop.customers", "shop.orders", "shop.items", "shop.products", "shop.carts"];
  const ledger = ["ledger.accounts", "ledger.entries", "ledger.audit"];
  const everything = () => [...tables.keys()];

  traffic(300, [...shop, ...ledger]);
  alter("shop.orders", "ALTER", "ADD COLUMN `note` VARCHAR(64)", (all) => [...all, column.text("note")]);
  traffic(200, everything());
  ddl("CINDEX", "shop", "orders", "CREATE INDEX `by_customer` ON `shop`.`orders` (`customer`)");
  later(2);
  traffic(150, everything());
  alter(
    "ledger.accounts",
    "ALTER",
    "ADD COLUMN `currency` VARCHAR(64) DEFAULT 'CHF' AFTER `owner`",
    ([id, owner, ...rest]) => [id!, owner!, column.text("currency"), ...rest],
    "CHF",
  );
  traffic(200, everything());
  truncate("shop.carts");
  traffic(150, everything());
  alter("shop.products", "ALTER", "MODIFY COLUMN `price` DECIMAL(14,2)", (all) =>
    all.map((one) => (one.name === "price" ? { ...one, type: "decimal(14,2)" } : one)),
  );
  traffic(100, everything());
  rename("shop.carts", "shop.baskets");
  traffic(150, everything());
  ddl("CREATE", "shop", "baskets_archive", "CREATE TABLE `shop`.`baskets_archive` LIKE `shop`.`baskets`");
  later(10);
  tables.set("shop.baskets_archive", {
    ...table("shop.baskets"),
    name: "baskets_archive",
    rows: new Map(),
    next: 1,
  });
  traffic(150, everything());
  rename("shop.baskets_archive", "ledger.old_baskets");
  traffic(150, everything());
  ddl("DINDEX", "shop", "orders", "DROP INDEX `by_customer` ON `shop`.`orders`");
  later(2);
  alter("shop.customers", "ALTER", "DROP COLUMN `since`", (all) => all.filter((one) => one.name !== "since"));
  traffic(150, everything());
  // Three DDLs on the heels of each other.
  create("ledger", "rates", [column.code("pair"), column.amount("rate")]);
  alter("ledger.rates", "ALTER", "ADD COLUMN `source` VARCHAR(64)", (all) => [...all, column.text("source")]);
  alter("ledger.entries", "ALTER", "ADD INDEX `by_account` (`account`)");
  traffic(200, everything());
  // A DDL and rows of other tables under one commitTs.
  const shared = table("ledger.audit");
  ddl(
    "ALTER",
    "shop",
    "orders",
    "ALTER TABLE `shop`.`orders` ADD COLUMN `channel` VARCHAR(64) DEFAULT 'web'",
  );
  const sharedRow = fresh(shared);
  shared.rows.set(keyOf(shared, sharedRow), sharedRow);
  row(shared, "INSERT", sharedRow, null);
  later(2);
  const orders = table("shop.orders");
  orders.columns = [...orders.columns, column.text("channel")];
  for (const data of orders.rows.values()) data["channel"] = "web";
  traffic(200, everything());
  ddl("QUERY", "ledger", "", "ALTER DATABASE `ledger` CHARACTER SET utf8mb4");
  later(2);
  traffic(60, everything());
  truncate("shop.items");
  truncate("ledger.audit");
  traffic(150, everything());
  ddl("CREATE", "scratch", "", "CREATE DATABASE `scratch`");
  later(2);
  create("scratch", "one", [column.id(), column.text("a")]);
  create("scratch", "two", [column.id(), column.text("b"), column.blob("c")]);
  traffic(120, everything());
  drop("ledger.old_baskets");
  traffic(60, everything());
  ddl("ERASE", "scratch", "", "DROP DATABASE `scratch`");
  later(2);
  tables.delete("scratch.one");
  tables.delete("scratch.two");
  traffic(60, everything());
  ddl("CREATE", "scratch", "", "CREATE DATABASE `scratch`");
  later(2);
  create("scratch", "one", [column.id(), column.amount("a"), column.text("b")]);
  rename("shop.baskets", "scratch.baskets");
  traffic(200, everything());
  alter("shop.orders", "ALTER", "DROP COLUMN `note`", (all) => all.filter((one) => one.name !== "note"));
  alter("scratch.one", "ALTER", "CHANGE COLUMN `b` `c` VARCHAR(64)", (all) =>
    all.map((one) => (one.name === "b" ? column.text("c") : one)),
  );
  const changed = table("scratch.one");
  changed.rows.clear();
  truncate("scratch.one");
  traffic(250, everything());
  return lines;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(
    process.argv[2] ?? fileURLToPath(new URL("./shop.ndjson", import.meta.url)),
    `${generate().join("\n")}\n`,
  );
