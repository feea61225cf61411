import { readFileSync } from "node:fs";
import { equals } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode, MalformedMessage, type MessageType, parseEncoding, schemas } from "./codec.ts";
import { compareKeys, keyText, parseKeyText } from "./event-key.ts";
import { InfluenceType } from "./messages.ts";
import { compareBytes, tableRange } from "./span.ts";

interface Vector {
  readonly type: MessageType;
  readonly note: string;
  readonly protobuf: string;
  readonly json: unknown;
}

/** Messages as Go writes them, in both encodings. */
const vectors: Vector[] = JSON.parse(
  readFileSync(new URL("./testing/heartbeatpb.json", import.meta.url), "utf8"),
);

describe("messages as Go writes them", () => {
  it.each(vectors.map((vector) => [`${vector.type} ${vector.note}`, vector] as const))("%s", (_, vector) => {
    const fromJson = decode(vector.type, "json", JSON.stringify(vector.json));
    const fromBinary = decode(vector.type, "protobuf", vector.protobuf);
    expect(equals(schemas[vector.type], fromJson as never, fromBinary as never)).toBe(true);
    expect(encode(vector.type, "protobuf", fromJson)).toBe(vector.protobuf);
    expect(JSON.parse(encode(vector.type, "json", fromBinary))).toEqual(vector.json);
  });
});

describe("decoding", () => {
  it("takes absent values for what they mean", () => {
    const body = '{"blockStatuses":[{"state":{"BlockTs":"449779372969249750","BlockTables":{}}}]}';
    const { state } = decode("BlockStatusRequest", "json", body).blockStatuses[0]!;
    expect(state?.BlockTables?.InfluenceType).toBe(InfluenceType.All);
    expect(state?.NeedDroppedTables).toBeUndefined();
    expect(state?.BlockTs).toBe(449779372969249750n);
  });

  it("takes numbers for enums, original field names, and ignores what it does not know", () => {
    const body =
      '{"maintainer_epoch":"7","unknown":1,"spans":[{"component_status":3,"blockState":{"stage":1}}]}';
    const message = decode("MaintainerBootstrapResponse", "json", body);
    expect(message.maintainerEpoch).toBe(7n);
    expect(message.spans[0]!.componentStatus).toBe(3);
    expect(message.spans[0]!.blockState!.stage).toBe(1);
  });

  it("says what is wrong with a body, and throws nothing else whatever comes", () => {
    expect(() => decode("HeartBeatRequest", "json", "{")).toThrow(MalformedMessage);
    expect(() => decode("HeartBeatRequest", "protobuf", "AAA=")).toThrow(/base64 protobuf/);
    expect(() => parseEncoding("xml")).toThrow('attribute encoding is "xml": use "json" or "protobuf"');
    fc.assert(
      fc.property(fc.constantFrom(...vectors), fc.nat(), fc.string({ maxLength: 3 }), (vector, at, junk) => {
        for (const [encoding, good] of [
          ["json", JSON.stringify(vector.json)],
          ["protobuf", vector.protobuf],
        ] as const) {
          const cut = at % good.length;
          const bad = good.slice(0, cut) + junk + good.slice(cut + 1);
          try {
            decode(vector.type, encoding, bad);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedMessage);
          }
        }
      }),
    );
  });
});

describe("event keys", () => {
  const key = fc.record({ commitTs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), isSyncPoint: fc.boolean() });

  it("are ordered as text as they are in time, DDL before syncpoint", () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        const [left, right] = [keyText(a), keyText(b)];
        expect(Math.sign(compareKeys(a, b))).toBe(left < right ? -1 : left > right ? 1 : 0);
        expect(parseKeyText(left)).toEqual(a);
      }),
    );
  });
});

describe("table ranges", () => {
  it("are TiCDC's", () => {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
    const { start, end } = tableRange(100n);
    expect(hex(start)).toBe("7480000000000000ff645f720000000000fa");
    expect(hex(end)).toBe("7480000000000000ff645f730000000000fa");
    expect(compareBytes(start, end)).toBeLessThan(0);
  });
});
