import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { dispatcherId } from "../barrier/dispatcher-id.ts";
import { WeirError } from "../error/weir-error.ts";
import { MalformedMessage } from "../protocol/codec.ts";
import {
  ComponentState,
  ComponentStateSchema,
  OperatorType,
  OperatorTypeSchema,
  RouteTableAdmissionAction,
  RouteTableAdmissionActionSchema,
  ScheduleAction,
  ScheduleDispatcherRequestSchema,
} from "../protocol/messages.ts";
import type { DispatcherState, Mode } from "./changefeed.ts";
import { reportState } from "./states.ts";
import { fromScheduleRequest, toComponentState, toMode, toRouteAdmission } from "./wire.ts";

/** `O_Add`, `MergeReady` and `RELEASE_SCHEMA` as the plain types spell them: the expectation shares no table with the code. */
const spelled = (name: string) =>
  name
    .replace(/^O_/, "")
    .replaceAll(/([a-z])([A-Z])/g, "$1-$2")
    .replaceAll("_", "-")
    .toLowerCase();
const namesOf = (schema: {
  readonly values: readonly { readonly name: string; readonly number: number }[];
}) => schema.values.map(({ name, number }) => ({ name: spelled(name), number }));

describe("what the wire's numbers are called", () => {
  it.each(namesOf(ComponentStateSchema))("the state $name is $number", ({ name, number }) => {
    expect(toComponentState(name as DispatcherState)).toBe(number);
  });

  it.each(namesOf(RouteTableAdmissionActionSchema))(
    "the route action $name is $number",
    ({ name, number }) => {
      expect(toRouteAdmission({ action: name as "admit", sourceSchema: "a" }).Action).toBe(number);
    },
  );

  it.each(namesOf(OperatorTypeSchema))("the operator $name is $number", ({ name, number }) => {
    const request = { config: { dispatcherID: dispatcherId("0".repeat(32)) }, operatorType: number };
    expect(fromScheduleRequest(create(ScheduleDispatcherRequestSchema, request)).operator).toBe(name);
  });

  it("refuses a name that is none, whatever it is", () => {
    expect(toMode("redo")).toBe(1n);
    for (const wrong of [1n, "toString", "Working", undefined])
      for (const call of [() => toMode(wrong as Mode), () => toComponentState(wrong as DispatcherState)])
        expect(call).toThrow(WeirError);
    expect(() => toMode(1n as unknown as Mode)).toThrow("mode is 1: use default, redo");
    expect([ComponentState.Working, RouteTableAdmissionAction.ADMIT, OperatorType.O_Add]).toEqual([0, 0, 0]);
  });
});

describe("an event", () => {
  it("says on the wire all that it lists, and zeros where it lists nothing", () => {
    const state = reportState(
      {
        key: { commitTs: 9n, isSyncPoint: false },
        blockTables: { type: "schema", schemaId: 3n },
        needDroppedTables: { type: "tables", tableIds: [7n] },
        needAddedTables: [
          { tableId: 8n, schemaId: 3n },
          { tableId: 9n, schemaId: 3n, splittable: true },
        ],
        updatedSchemas: [{ tableId: 6n, oldSchemaId: 3n, newSchemaId: 4n }],
        routeAdmissions: [{ action: "release-schema", sourceSchema: "a" }],
        payload: undefined,
      },
      true,
      { tableId: 0n, whole: true },
    );
    expect(state).toMatchObject({
      BlockTables: { InfluenceType: 1, TableIDs: [], SchemaID: 3n },
      NeedDroppedTables: { InfluenceType: 2, TableIDs: [7n], SchemaID: 0n },
      NeedAddedTables: [
        { TableID: 8n, SchemaID: 3n, Splitable: false },
        { TableID: 9n, SchemaID: 3n, Splitable: true },
      ],
      UpdatedSchemas: [{ TableID: 6n, OldSchemaID: 3n, NewSchemaID: 4n }],
      RouteTableAdmissions: [{ SourceSchemaName: "a", SourceTableName: "", TargetSchemaName: "", Action: 2 }],
    });
  });
});

describe("a ScheduleDispatcherRequest", () => {
  const key = "00000000000000010000000000000002";
  const config = {
    dispatcherID: dispatcherId(key),
    span: { TableID: 10n, StartKey: Uint8Array.of(1), EndKey: Uint8Array.of(2) },
    schemaID: 3n,
    startTs: 4n,
    skipDMLAsStartTs: true,
    life: 5n,
  };
  const read = (fields: object) => fromScheduleRequest(create(ScheduleDispatcherRequestSchema, fields));

  it("has all that createDispatcher takes", () => {
    expect(read({ config, operatorType: OperatorType.O_Move })).toEqual({
      action: "create",
      operator: "move",
      dispatcher: {
        id: key,
        tableId: 10n,
        schemaId: 3n,
        start: Uint8Array.of(1),
        end: Uint8Array.of(2),
        checkpointTs: 4n,
        skipDmlAsStartTs: true,
        life: 5n,
      },
    });
  });

  it("may have an operator of a later version, but no other action, and names a dispatcher", () => {
    const scheduleAction = ScheduleAction.Remove;
    const later = read({ config, scheduleAction, operatorType: 9 as OperatorType });
    expect(later).toMatchObject({ action: "remove" });
    expect(later).not.toHaveProperty("operator");
    expect(() => read({ config, scheduleAction: 7 as ScheduleAction })).toThrow(MalformedMessage);
    expect(() => read({ scheduleAction })).toThrow("names no dispatcher in config.dispatcherID");
  });
});
