import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { dispatcherId } from "../barrier/dispatcherid.ts";
import type { Outcome, Sender } from "../barrier/membership.ts";
import { decode, encode } from "../protocol/codec.ts";
import {
  BlockStatusRequestSchema,
  HeartBeatRequestSchema,
  type TableSpanBlockStatus,
  TableSpanBlockStatusSchema,
} from "../protocol/messages.ts";
import { type Report, type SpaceInput, takeIn } from "./intake.ts";
import type { Kept } from "./port.ts";
import { ask, type Program } from "./program.ts";
import type { Session } from "./session.ts";
import { changefeedMessage } from "./space.ts";

function keptFrom(type: Kept["type"], body: string, sender: Sender, content: string): Kept {
  const id = createHash("sha256")
    .update(`${type} ${sender.node} ${sender.start} ${content}`)
    .digest("base64url");
  return { id, type, body, ...sender };
}

/**
 * Keeps reports of lives that are not known yet until their registration comes (protocol.md R6).
 * @returns whether the roster has changed since, so that they are to be looked at again
 */
export function* keepEarly(session: Session, reports: readonly Report[]): Program<boolean> {
  const before = session.root?.rosterVersion;
  for (const report of reports.flatMap(inParts)) {
    const body = encode(
      "BlockStatusRequest",
      "protobuf",
      create(BlockStatusRequestSchema, {
        changefeedID: changefeedMessage(session.space),
        blockStatuses: [statusOf(report)],
        mode: session.space.mode,
      }),
    );
    yield* ask("keep", session.space, keptFrom("BlockStatusRequest", body, report.sender, body));
    session.observer.note({
      what: "report-kept",
      space: session.space.text,
      key: report.key,
      node: report.sender.node,
      count: report.lives.length,
    });
  }
  // A registration that was committed before this read saw nothing kept, so it is seen here; a later one reads it.
  yield* session.refresh();
  return session.root?.rosterVersion !== before;
}

/** Lives in one kept item: far below the 400 KB that an item may have. */
export const LIVES_PER_ITEM = 5_000;

function inParts(report: Report): Report[] {
  const parts: Report[] = [];
  for (let from = 0; from < report.lives.length; from += LIVES_PER_ITEM)
    parts.push({ ...report, lives: report.lives.slice(from, from + LIVES_PER_ITEM) });
  return parts;
}

/** Keeps component states of lives that are not known yet. */
export function* keepEarlyStatuses(
  session: Session,
  sender: Sender,
  early: readonly Outcome["early"][number][],
): Program<void> {
  const body = encode(
    "HeartBeatRequest",
    "protobuf",
    create(HeartBeatRequestSchema, {
      changefeedID: changefeedMessage(session.space),
      statuses: early.map(({ id, life, state, checkpointTs }) => ({
        ID: dispatcherId(id),
        life: sender.start > 0n ? life : 0n,
        componentStatus: state,
        checkpointTs,
        mode: session.space.mode,
      })),
    }),
  );
  yield* ask("keep", session.space, keptFrom("HeartBeatRequest", body, sender, body));
}

/** The whole status as it was sent, for the lives that are kept. */
function statusOf(report: Report): TableSpanBlockStatus {
  const request = decode(
    "BlockStatusRequest",
    report.message.attributes["encoding"] === "protobuf" ? "protobuf" : "json",
    report.message.body,
  );
  const original = request.blockStatuses[report.index]!;
  return create(TableSpanBlockStatusSchema, {
    ...(original.state && { state: original.state }),
    mode: original.mode,
    dispatcherIDs: report.lives.map((one) => dispatcherId(one.id)),
    lives: report.lives.map((one) => one.life),
  });
}

/** What is kept, as inputs like those of a message, oldest first. */
export function* readKept(session: Session): Program<{ id: string; input: SpaceInput }[]> {
  const kept = yield* ask("readKept", session.space);
  return [...kept]
    .sort((a, b) => a.sentAt - b.sentAt)
    .flatMap((one) => {
      const message = {
        messageId: `kept/${one.id}`,
        body: one.body,
        attributes: {
          type: one.type,
          from: one.node,
          encoding: "protobuf",
          ...(one.start > 0n && { start: one.start.toString() }),
        },
        sentAt: one.sentAt,
        receiveCount: 1,
        principal: one.principal,
      };
      return takeIn(message, session.settings).inputs.map((input) => ({ id: one.id, input }));
    });
}
