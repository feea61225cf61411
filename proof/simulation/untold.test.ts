/** What an invocation could not send: who asks for it, and whether somebody brings it again. */
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { ActionMessage } from "../../src/maintainer/base/port.ts";
import { encode } from "../../src/protocol/codec.ts";
import {
  Action,
  BlockStage,
  BlockStatusRequestSchema,
  DoneAction,
  HeartBeatResponseSchema,
  MaintainerBootstrapResponseSchema,
} from "../../src/protocol/messages.ts";
import type { Stored } from "./queues.ts";
import { Untold } from "./untold.ts";

const KEY = 5_654_000n;

function stored(type: string, body: string): Stored {
  const attributes = { type, encoding: "json", replyQueue: "q" };
  const held = { sentAt: 0, timestamp: 0, principal: "", visibleAt: 0, receives: 1, receipt: "r" };
  return { id: "m1", body, attributes, ...held };
}

function report(low: bigint, life: bigint, stage: BlockStage): Stored {
  const done = stage === BlockStage.DONE ? { doneAction: DoneAction.PASS_DONE } : {};
  const status = {
    state: { IsBlocked: true, BlockTs: KEY, IsSyncPoint: true, stage, ...done },
    dispatcherIDs: [{ high: 7n, low }],
    lives: [life],
  };
  const request = create(BlockStatusRequestSchema, { blockStatuses: [status] });
  return stored("BlockStatusRequest", encode("BlockStatusRequest", "json", request));
}

function registration(low: bigint, life: bigint, stage?: BlockStage): Stored {
  const type = "MaintainerBootstrapResponse";
  const at = { IsBlocked: true, BlockTs: KEY, IsSyncPoint: true };
  const spans = [{ ID: { high: 7n, low }, life, ...(stage && { blockState: { ...at, stage } }) }];
  return stored(type, encode(type, "json", create(MaintainerBootstrapResponseSchema, { spans })));
}

function pass(low: bigint, life: bigint) {
  const response = create(HeartBeatResponseSchema, {
    dispatcherStatuses: [
      {
        influencedDispatchers: { DispatcherIDs: [{ high: 7n, low }] },
        lives: [life],
        action: { action: Action.Pass, CommitTs: KEY, IsSyncPoint: true },
      },
    ],
  });
  const body = encode("HeartBeatResponse", "json", response);
  return { queue: "q", type: "HeartBeatResponse", encoding: "json", body, about: [] } as const;
}

function accepted(low: string, life: string) {
  const body = JSON.stringify({ accepted: [{ id: { high: "7", low }, life }], refused: [] });
  return { queue: "q", type: "RegistrationResult", encoding: "json", body, about: [] } as const;
}

function unsent(...messages: ActionMessage[]): Untold {
  const untold = new Untold();
  for (const message of messages) untold.failed(message);
  return untold;
}

describe("an action that could not be sent", () => {
  const waiting = report(1n, 10n, BlockStage.WAITING);

  it("is asked for by who waits for it", () => {
    expect(unsent(pass(1n, 10n)).isOnlyOf(waiting, [])).toBe(true);
    expect(unsent(pass(2n, 10n)).isOnlyOf(waiting, [])).toBe(false);
  });

  it("is asked for by a message that comes again too, if it is of the same life", () => {
    const untold = unsent(pass(1n, 10n));
    expect(untold.isOnlyOf(waiting, [report(1n, 10n, BlockStage.WAITING)])).toBe(false);
    expect(untold.isOnlyOf(waiting, [report(1n, 11n, BlockStage.WAITING)])).toBe(true);
    expect(untold.isOnlyOf(waiting, [report(1n, 10n, BlockStage.DONE)])).toBe(true);
  });

  it("is asked for by who registers as waiting for it (protocol.md M14)", () => {
    const untold = unsent(pass(1n, 10n));
    expect(untold.isOnlyOf(waiting, [registration(1n, 10n, BlockStage.WAITING)])).toBe(false);
    expect(untold.isOnlyOf(waiting, [registration(1n, 10n, BlockStage.DONE)])).toBe(true);
    expect(untold.isOnlyOf(registration(1n, 10n, BlockStage.WAITING), [])).toBe(true);
    expect(untold.isOnlyOf(registration(1n, 10n), [])).toBe(false);
  });

  it("is asked for by an old node, which names no life, only where it is to be sent to that node", () => {
    const old = report(1n, 0n, BlockStage.WAITING);
    const from = (node: string) => ({ ...old, attributes: { ...old.attributes, from: node } });
    const untold = unsent({ ...pass(1n, 0n), queue: "weir-action-o1" });
    expect(untold.isOnlyOf(from("o1"), [])).toBe(true);
    expect(untold.isOnlyOf(from("o2"), [])).toBe(false);
  });

  it("is not asked for by who has done it in that life", () => {
    expect(unsent(pass(1n, 10n)).isOnlyOf(report(1n, 10n, BlockStage.DONE), [])).toBe(false);
    expect(unsent(pass(1n, 11n)).isOnlyOf(report(1n, 10n, BlockStage.DONE), [])).toBe(true);
  });

  it("is told when it is sent later, and nothing else is", () => {
    const untold = unsent(pass(1n, 10n), pass(2n, 10n));
    untold.sent(pass(2n, 10n));
    expect(untold.size).toBe(1);
    expect(untold.isOnlyOf(waiting, [])).toBe(true);
    untold.sent(pass(1n, 10n));
    expect(untold.size).toBe(0);
    expect(untold.isOnlyOf(waiting, [])).toBe(false);
  });
});

it("an answer to a registration is asked for by the one that it is about", () => {
  const untold = unsent(accepted("1", "10"));
  expect(untold.isOnlyOf(registration(1n, 10n), [])).toBe(true);
  expect(untold.isOnlyOf(registration(2n, 10n), [])).toBe(false);
  expect(untold.isOnlyOf(registration(1n, 10n), [registration(2n, 10n)])).toBe(true);
  expect(untold.isOnlyOf(registration(1n, 10n), [registration(1n, 10n)])).toBe(false);
});
