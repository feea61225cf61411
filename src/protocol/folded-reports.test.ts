import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode, MalformedMessage, schemas } from "./codec.ts";
import { decodeLifted, decodeReports, type FoldedReports } from "./folded-reports.ts";
import { hexId } from "./hex-id.ts";
import { BlockStage, InfluenceType } from "./messages.ts";

/** What the decoder of all messages makes of a body, in the same form; or what it says is wrong with it. */
function expected(body: string): FoldedReports | string {
  try {
    const { changefeedID, mode, blockStatuses } = decode("BlockStatusRequest", "json", body);
    return {
      changefeedID,
      mode,
      statuses: blockStatuses.map(({ ID, state, mode, life, dispatcherIDs, lives }) => ({
        ID,
        state,
        mode,
        life,
        ids: dispatcherIDs.map(({ high, low }) => hexId(high, low)),
        lives,
      })),
    };
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedMessage);
    return (error as Error).message;
  }
}

function actual(body: string): FoldedReports | string {
  try {
    return decodeReports("json", body);
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedMessage);
    return (error as Error).message;
  }
}

function same(body: string): void {
  expect(actual(body)).toEqual(expected(body));
}

const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(
    0n,
    1n,
    9n,
    999_999n,
    1_000_000n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 53n,
    10n ** 19n,
    2n ** 64n - 1n,
  ),
);
const id = fc.record({ high: uint64, low: uint64 });
const status = fc.record(
  {
    ID: id,
    dispatcherIDs: fc.array(id, { maxLength: 8 }),
    lives: fc.array(uint64, { maxLength: 8 }),
    life: uint64,
    mode: fc.constantFrom(0n, 1n),
    state: fc.record({
      IsBlocked: fc.boolean(),
      BlockTs: uint64,
      stage: fc.constantFrom(BlockStage.NONE, BlockStage.WAITING, BlockStage.DONE),
      BlockTables: fc.record({
        InfluenceType: fc.constantFrom(InfluenceType.All, InfluenceType.Normal),
        TableIDs: fc.array(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), { maxLength: 3 }),
      }),
    }),
  },
  { requiredKeys: [] },
);
const request = fc.record({
  changefeedID: fc.record({ high: uint64, low: uint64, name: fc.string(), keyspace: fc.string() }),
  blockStatuses: fc.array(status, { maxLength: 4 }),
  mode: fc.constantFrom(0n, 1n),
});
const body = request.map((message) =>
  encode("BlockStatusRequest", "json", create(schemas.BlockStatusRequest, message)),
);

/** Pieces that mean something to one decoder or the other. */
const PIECES = [
  '"dispatcherIDs":[',
  '"lives":[',
  '"lives":["list 0"]',
  '"dispatcherIDs":["list 0"]',
  '{"high":"1","low":"2"}',
  '{"low":"2","high":"1"}',
  '{"high":"18446744073709551616"}',
  '{"high":"99999999999999999999"}',
  '{"high":"000000000000000000000007"}',
  '{"high":"-1"}',
  '{"high":7,"low":8}',
  '{"low":"3"}',
  "{}",
  "{",
  "}",
  "[",
  "]",
  ",",
  ", ",
  " ",
  "\n",
  '"',
  '\\"',
  "\\",
  '""',
  "null",
  "0",
  '"1"',
  '"1e3"',
  '"\\u006cives":["9"]',
  '"unknown":{"lives":["1"]}',
  '"blockStatuses":[',
];

describe("folded reports", () => {
  it("are the same as those of the decoder of all messages", () => {
    fc.assert(fc.property(body, same), { numRuns: 500 });
  });

  it("are read without the other decoder when nodes write them as this one does", () => {
    fc.assert(
      fc.property(body, (text) => {
        const plain = !text.includes("\\") && /"(dispatcherIDs|lives)":/.test(text);
        expect(decodeLifted(text) !== undefined).toBe(plain);
      }),
    );
  });

  it("are the same, or wrong for the same reason, when something in them was changed", () => {
    const change = fc.record({
      at: fc.nat(),
      length: fc.constantFrom(0, 1, 2, 7, 20),
      piece: fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 2 })),
    });
    fc.assert(
      fc.property(body, fc.array(change, { minLength: 1, maxLength: 3 }), (good, changes) => {
        let bad = good;
        for (const { at, length, piece } of changes) {
          const cut = at % (bad.length + 1);
          bad = bad.slice(0, cut) + piece + bad.slice(cut + length);
        }
        same(bad);
      }),
      { numRuns: 5_000 },
    );
  });

  it("are the same when a field was put in before another", () => {
    // Changes at places where a member begins keep more bodies well-formed.
    fc.assert(
      fc.property(body, fc.nat(), fc.constantFrom(...PIECES), (good, which, piece) => {
        const places = [...good.matchAll(/[{[,]/g)].map((match) => match.index + 1);
        const at = places[which % places.length]!;
        same(`${good.slice(0, at)}${piece},${good.slice(at)}`);
        same(`${good.slice(0, at)}${piece}${good.slice(at)}`);
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    [
      "with spaces behind commas, as Go's protojson may write them",
      '{"blockStatuses":[{"dispatcherIDs":[{"high":"1", "low":"2"}, {"low":"3"}], "lives":["4", "4"]}]}',
    ],
    ["of halves that are zero", '{"blockStatuses":[{"dispatcherIDs":[{},{"high":"5"},{"low":"6"}]}]}'],
    ["with other names for the same list", '{"block_statuses":[{"dispatcherIDs":[{"high":"1"}]}]}'],
    ["with a list that comes twice", '{"blockStatuses":[{"lives":["1"],"lives":["2"]}]}'],
    ["with statuses that come twice", '{"blockStatuses":[{"lives":["1"]}],"blockStatuses":[{"life":"3"}]}'],
    ["with a list in an unknown field", '{"blockStatuses":[{"other":{"lives":["1"]},"lives":["2"]}]}'],
    ["with a list that is a text", '{"blockStatuses":[{"other":"{\\"lives\\":[\\"1\\"]}","lives":["2"]}]}'],
    ["with a text that looks like a mark", '{"blockStatuses":[{"lives" :["list 1"],"lives":["2"]}]}'],
    [
      "with a mark in place of a list that is lost",
      '{"blockStatuses":[{"lives":["2"],"lives" :["list 0"]}]}',
    ],
    [
      "with an escaped mark in place of a list that is lost",
      '{"blockStatuses":[{"lives":["2"],"lives" :["\\u006cist 0"]}]}',
    ],
    ["with a list that is not closed", '{"blockStatuses":[{"lives":["2"'],
    ["with a number that is too large", '{"blockStatuses":[{"lives":["18446744073709551616"]}]}'],
    ["with a number in words", '{"blockStatuses":[{"lives":["one"]}]}'],
    [
      "with numbers that are not texts",
      '{"blockStatuses":[{"lives":[1,2],"dispatcherIDs":[{"high":1,"low":2}]}]}',
    ],
    ["of nothing", '{"blockStatuses":[{"lives":[],"dispatcherIDs":[]}]}'],
    ["that are no object", '["dispatcherIDs"]'],
  ])("are the same %s", (_, text) => same(text));

  it("are the same for messages as Go writes them, in both encodings", () => {
    const vectors: { type: string; protobuf: string; json: unknown }[] = JSON.parse(
      readFileSync(new URL("./testing/heartbeatpb.json", import.meta.url), "utf8"),
    );
    const reports = vectors.filter((vector) => vector.type === "BlockStatusRequest");
    expect(reports.length).toBeGreaterThan(0);
    for (const { json, protobuf } of reports) {
      same(JSON.stringify(json));
      expect(decodeReports("protobuf", protobuf)).toEqual(expected(JSON.stringify(json)));
    }
  });
});
