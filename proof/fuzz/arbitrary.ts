/** Messages that nobody wrote: anything that the schema allows, and what becomes of it on a bad line. */
import { readFileSync } from "node:fs";
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type Encoding, encode, type MessageType, schemas } from "../../src/protocol/codec.ts";

const MAX_UINT64 = 2n ** 64n - 1n;

/** Values at which something may turn over, beside any others. */
const uint64 = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, MAX_UINT64),
  fc.bigInt({ min: 0n, max: MAX_UINT64 }),
);
const int64 = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, -(2n ** 63n), 2n ** 63n - 1n),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const text = fc.oneof(fc.constantFrom("", "default", "../..", "a/b", "\u0000", "é\u{1f30a}"), fc.string());

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 12 });
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return uint64;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return int64;
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return fc.float({ noNaN: true, noDefaultInfinity: true });
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.nat();
    default:
      return fc.integer();
  }
}

/** Numbers that messages have in common mostly, so that they are about the same tables, dispatchers and events. */
const FEW = /^(TableID|TableIDs|SchemaID|NewSchemaID|BlockTs|checkpointTs)$/;
const CHANGEFEED = { high: 9n, low: 9n, name: "fuzzed", keyspace: "default" };

function field(of: DescField, depth: number): fc.Arbitrary<unknown> {
  const any = fieldOf(of, depth);
  const few = fc.bigInt({ min: 0n, max: 3n });
  if (of.name === "mode") return fc.oneof({ weight: 9, arbitrary: fc.constant(0n) }, any);
  if (of.name === "life") return fc.oneof({ weight: 5, arbitrary: fc.constant(2n) }, few, any);
  // A higher one starts an empty changefeed: seldom, so that the others meet something.
  if (of.name === "maintainer_epoch")
    return fc.oneof({ weight: 30, arbitrary: fc.constantFrom(0n, 1n) }, any);
  if (of.name === "IsBlocked") return fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, any);
  // Mostly absent: a list of another length than the one beside it is refused as a whole.
  if (of.name === "lives") return fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, any);
  if (!FEW.test(of.localName)) return any;
  return fc.oneof(
    { weight: 9, arbitrary: of.fieldKind === "list" ? fc.array(few, { maxLength: 4 }) : few },
    any,
  );
}

function fieldOf(of: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (of.fieldKind) {
    case "scalar":
      return scalar(of.scalar);
    case "enum":
      return fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(...of.enum.values.map((value) => value.number)) },
        fc.constantFrom(7, 99, -1),
      );
    case "message":
      return messageOf(of.message, depth - 1);
    case "list": {
      const item =
        of.listKind === "message"
          ? messageOf(of.message, depth - 1)
          : of.listKind === "scalar"
            ? scalar(of.scalar)
            : fc.nat({ max: 9 });
      return fc.array(item, { maxLength: depth > 2 ? 4 : 2 });
    }
    default:
      throw new Error(`field kind ${of.fieldKind} is not in the schema`);
  }
}

/** Any message of a schema, to a depth: fields are there or not, with any values. */
function messageOf(schema: DescMessage, depth: number): fc.Arbitrary<Message> {
  if (schema.typeName.endsWith(".DispatcherID"))
    return fc.bigInt({ min: 0n, max: 5n }).map((low) => create(schema, { low } as never));
  if (schema.typeName.endsWith(".ChangefeedID") && depth > 0)
    return fc.oneof(
      { weight: 9, arbitrary: fc.constant(create(schema, CHANGEFEED as never)) },
      messageOf(schema, 0),
    );
  const fields = schema.fields.filter((of) => depth > 0 || of.fieldKind === "scalar");
  const record = Object.fromEntries(
    fields.map((of) => [of.localName, fc.option(field(of, depth), { nil: undefined, freq: 9 })]),
  );
  return fc.record(record).map((values) => {
    const given = Object.entries(values).filter(([, value]) => value !== undefined);
    return create(schema, Object.fromEntries(given) as never);
  });
}

export interface Written {
  readonly type: MessageType;
  readonly encoding: Encoding;
  readonly body: string;
}

/** Any message of a type, written in either encoding. */
export function anyMessage(type: MessageType): fc.Arbitrary<Written> {
  return fc
    .tuple(messageOf(schemas[type], 4), fc.constantFrom<Encoding>("json", "protobuf"))
    .map(([message, encoding]) => ({ type, encoding, body: encode(type, encoding, message as never) }));
}

interface Vector {
  readonly type: MessageType;
  readonly protobuf: string;
  readonly json: unknown;
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL("../../src/protocol/testing/heartbeatpb.json", import.meta.url), "utf8"),
);

/** A message as Go wrote it. */
export function anyVector(types: readonly MessageType[]): fc.Arbitrary<Written> {
  const vectors = VECTORS.filter((vector) => types.includes(vector.type));
  return fc
    .tuple(fc.constantFrom(...vectors), fc.constantFrom<Encoding>("json", "protobuf"))
    .map(([{ type, protobuf, json }, encoding]) => ({
      type,
      encoding,
      body: encoding === "json" ? JSON.stringify(json) : protobuf,
    }));
}

const JUNK: readonly unknown[] = [
  null,
  true,
  -1,
  1.5,
  1e300,
  "",
  "x",
  "18446744073709551616",
  [],
  [[]],
  {},
  { a: 1 },
  "\ud800",
];

/** A JSON text with one value, somewhere in it, of another type. */
function confused(body: string): fc.Arbitrary<string> {
  const parsed: unknown = JSON.parse(body);
  const paths: (string | number)[][] = [];
  const walk = (value: unknown, path: (string | number)[]) => {
    paths.push(path);
    if (Array.isArray(value)) for (const [index, one] of value.entries()) walk(one, [...path, index]);
    else if (typeof value === "object" && value !== null)
      for (const [key, one] of Object.entries(value)) walk(one, [...path, key]);
  };
  walk(parsed, []);
  return fc.tuple(fc.constantFrom(...paths), fc.constantFrom(...JUNK)).map(([path, junk]) => {
    if (path.length === 0) return JSON.stringify(junk);
    const copy = structuredClone(parsed);
    let at = copy as Record<string | number, unknown>;
    for (const key of path.slice(0, -1)) at = at[key] as typeof at;
    at[path.at(-1)!] = junk;
    return JSON.stringify(copy);
  });
}

/** A text with some characters gone, others in their place, or a part of it twice. */
function torn(body: string): fc.Arbitrary<string> {
  const at = fc.nat({ max: Math.max(0, body.length - 1) });
  return fc.oneof(
    at.map((end) => body.slice(0, end)),
    at.map((start) => body.slice(start)),
    fc
      .tuple(at, fc.string({ maxLength: 4 }))
      .map(([cut, junk]) => body.slice(0, cut) + junk + body.slice(cut)),
    fc.tuple(at, at).map(([a, b]) => body.slice(0, Math.max(a, b)) + body.slice(Math.min(a, b))),
    fc
      .tuple(at, fc.string({ minLength: 1, maxLength: 1 }))
      .map(([cut, one]) => body.slice(0, cut) + one + body.slice(cut + 1)),
  );
}

/** The base64 of bytes of which some bits are others, or some bytes gone. */
function flipped(body: string): fc.Arbitrary<string> {
  const bytes = Buffer.from(body, "base64");
  if (bytes.length === 0) return fc.constant(body);
  const at = fc.nat({ max: bytes.length - 1 });
  return fc.oneof(
    fc.array(fc.tuple(at, fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }).map((changes) => {
      const copy = Buffer.from(bytes);
      for (const [index, byte] of changes) copy[index] = byte;
      return copy.toString("base64");
    }),
    at.map((end) => bytes.subarray(0, end).toString("base64")),
    at.map((cut) => Buffer.concat([bytes.subarray(0, cut), bytes.subarray(cut + 1)]).toString("base64")),
    at.map((cut) => Buffer.concat([bytes, bytes.subarray(cut)]).toString("base64")),
  );
}

/** What becomes of a body on the way: nothing, or something that its sender did not mean. */
export function mutated({ body, encoding }: Written): fc.Arbitrary<string> {
  const own = encoding === "json" ? confused(body) : flipped(body);
  return fc.oneof({ weight: 6, arbitrary: fc.constant(body) }, own, own, torn(body));
}

const ATTRIBUTE_JUNK = [
  "",
  " ",
  "x",
  "-1",
  "0",
  "1.5",
  "1e3",
  "9007199254740993",
  "\u0000",
  "é",
  "__proto__",
];

/** What becomes of attributes: some are gone, some say something else, some are new. */
export function mutatedAttributes(
  attributes: Readonly<Record<string, string>>,
): fc.Arbitrary<Record<string, string>> {
  const names = [...Object.keys(attributes), "start", "part", "parts", "sentAt", "nodeQueue", "encoding"];
  const change = fc.tuple(fc.constantFrom(...names), fc.option(fc.constantFrom(...ATTRIBUTE_JUNK)));
  return fc.array(change, { maxLength: 2 }).map((changes) => {
    const copy: Record<string, string> = { ...attributes };
    for (const [name, value] of changes)
      if (value === null) delete copy[name];
      else copy[name] = value;
    return copy;
  });
}
