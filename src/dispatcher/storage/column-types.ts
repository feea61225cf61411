/** Column types as TiCDC's schema files have them, and back. */

/** A type in TiCDC's form: `varchar(20)` is VARCHAR with a precision of 20. Numbers are text there. */
export interface ColumnForm {
  /** In capitals: `INT UNSIGNED`. */
  readonly type: string;
  readonly precision?: string;
  readonly scale?: string;
  /** Of ENUM and SET. */
  readonly elements?: readonly string[];
}

/** Lengths of types where the statement gives none, as TiDB has them; an unsigned integer's is one less, but for BIGINT. */
const LENGTHS: Readonly<Record<string, number>> = {
  tinyint: 4,
  smallint: 6,
  mediumint: 9,
  int: 11,
  bigint: 20,
  float: 12,
  double: 22,
  decimal: 10,
  bit: 1,
  year: 4,
  char: 1,
  binary: 1,
  varchar: 5,
  varbinary: 5,
  tinytext: 255,
  tinyblob: 255,
  text: 65_535,
  blob: 65_535,
  mediumtext: 16_777_215,
  mediumblob: 16_777_215,
  longtext: 4_294_967_295,
  longblob: 4_294_967_295,
};
const INTEGERS = new Set(["tinyint", "smallint", "mediumint", "int", "bigint"]);
const FRACTIONS = new Set(["timestamp", "datetime", "time"]);

/**
 * A type of MySQL in TiCDC's form.
 * @param type in MySQL's own words: `int(10) unsigned`, `enum('a','b')`
 */
export function columnForm(type: string): ColumnForm {
  const [, base = "", inside, rest = ""] = /^\s*([^\s(]*)\s*(?:\((.*)\))?(.*)$/s.exec(type) ?? [];
  const name = base.toLowerCase();
  const unsigned = /\b(unsigned|zerofill)\b/i.test(rest);
  const typed = `${name.toUpperCase()}${unsigned ? " UNSIGNED" : ""}`;
  const [first, second] = (inside ?? "").split(",").map((one) => one.trim());
  const length = /^\d+$/.test(first ?? "") ? Number(first) : undefined;
  if (name === "enum" || name === "set") return { type: typed, elements: elementsOf(inside ?? "") };
  if (FRACTIONS.has(name)) return { type: typed, ...(length && { scale: String(length) }) };
  if (name === "decimal")
    return { type: typed, precision: String(length ?? LENGTHS["decimal"]), scale: second || "0" };
  if (name === "float" || name === "double")
    return {
      type: typed,
      precision: String(length ?? LENGTHS[name]),
      ...(second && Number(second) > 0 && { scale: second }),
    };
  if (name === "text" || name === "blob") {
    const sized = sizedName(name, length);
    return { type: sized.toUpperCase(), precision: String(LENGTHS[sized]) };
  }
  const standard = LENGTHS[name];
  if (standard === undefined) return { type: typed, ...(inside !== undefined && { precision: inside }) };
  const shorter = unsigned && INTEGERS.has(name) && name !== "bigint" ? 1 : 0;
  return { type: typed, precision: String(length ?? standard - shorter) };
}

/** TEXT(n) and BLOB(n) are the smallest type that holds so much, in characters of up to four bytes. */
function sizedName(name: "text" | "blob", length: number | undefined): string {
  if (length === undefined || length === 0) return name;
  const bytes = length * (name === "text" ? 4 : 1);
  const size = ["tiny", "", "medium"].find((one) => bytes <= LENGTHS[one + name]!) ?? "long";
  return size + name;
}

/**
 * A type of TiCDC's form in MySQL's words. What the form leaves out is left out: ZEROFILL, character sets; and so is a length
 * that is the type's own.
 */
export function mysqlType({ type, precision, scale, elements }: ColumnForm): string {
  const unsigned = / UNSIGNED$/i.test(type);
  const name = type.replace(/ UNSIGNED$/i, "").toLowerCase();
  const sign = unsigned ? " unsigned" : "";
  if (elements || name === "enum" || name === "set")
    return `${name}(${(elements ?? []).map((one) => `'${one.replaceAll("'", "''")}'`).join(",")})`;
  if (FRACTIONS.has(name)) return scale === undefined ? name : `${name}(${scale})`;
  if (name === "decimal") return `decimal(${precision},${scale ?? "0"})${sign}`;
  if (name === "float" || name === "double")
    return scale === undefined ? name + sign : `${name}(${precision},${scale})${sign}`;
  const standard = columnForm(name + sign).precision;
  const short = precision === undefined || (precision === standard && !/^(var)?(char|binary)$/.test(name));
  return short ? name + sign : `${name}(${precision})${sign}`;
}

function elementsOf(list: string): string[] {
  return [...list.matchAll(/'((?:[^']|'')*)'/g)].map(([, text]) => text!.replaceAll("''", "'"));
}
