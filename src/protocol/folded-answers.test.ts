import { create, equals } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode } from "./codec.ts";
import { encodeAnswers } from "./folded-answers.ts";
import { hexId } from "./hex-id.ts";
import { Action, DispatcherStatusSchema, HeartBeatResponseSchema, InfluenceType } from "./messages.ts";

const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
);
const about = fc.record({ CommitTs: uint64, IsSyncPoint: fc.boolean() });
const answer = fc.record(
  {
    ids: fc.array(fc.record({ high: uint64, low: uint64 }), { maxLength: 6 }),
    lives: fc.array(uint64, { maxLength: 6 }),
    influence: fc.record({
      InfluenceType: fc.constantFrom(InfluenceType.All, InfluenceType.DB, InfluenceType.Normal),
      SchemaID: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    }),
    ack: about,
    ignoredBlockStatus: about,
    action: fc.record({ action: fc.constantFrom(Action.Write, Action.Pass), CommitTs: uint64 }),
  },
  { requiredKeys: ["ids", "lives"] },
);
const envelope = fc.record(
  {
    changefeedID: fc.record({ high: uint64, low: uint64, name: fc.string(), keyspace: fc.string() }),
    mode: fc.constantFrom(0n, 1n),
    maintainerEpoch: uint64,
  },
  { requiredKeys: [] },
);

describe("answers", () => {
  it.each(["json", "protobuf"] as const)(
    "mean the same as those of the encoder of all messages, in %s",
    (encoding) => {
      fc.assert(
        fc.property(envelope, fc.array(answer, { maxLength: 4 }), (around, answers) => {
          const head = ({ influence, ack, ignoredBlockStatus, action }: (typeof answers)[number]) => ({
            ...(influence && { influencedDispatchers: influence }),
            ...(ack && { ack }),
            ...(ignoredBlockStatus && { ignoredBlockStatus }),
            ...(action && { action }),
          });
          const response = create(HeartBeatResponseSchema, around);
          const text = encodeAnswers(
            encoding,
            response,
            answers.map((one) => ({
              head: create(DispatcherStatusSchema, head(one)),
              ids: one.ids.map(({ high, low }) => hexId(high, low)),
              lives: one.lives,
            })),
          );
          const whole = create(HeartBeatResponseSchema, {
            ...around,
            dispatcherStatuses: answers.map((one) => ({
              ...head(one),
              ...((one.influence || one.ids.length > 0) && {
                influencedDispatchers: { ...one.influence, DispatcherIDs: one.ids },
              }),
              lives: one.lives,
            })),
          });
          expect(equals(HeartBeatResponseSchema, decode("HeartBeatResponse", encoding, text), whole)).toBe(
            true,
          );
          if (encoding === "json")
            expect(JSON.parse(text)).toEqual({
              ...JSON.parse(encode("HeartBeatResponse", "json", whole)),
              // An empty list may be written.
              ...(answers.length === 0 && { dispatcherStatuses: [] }),
            });
        }),
        { numRuns: 500 },
      );
    },
  );
});
