import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import type { Outcome, Sender } from "../../barrier/membership.ts";
import { decode, encode } from "../../protocol/codec.ts";
import {
  BlockStatusRequestSchema,
  HeartBeatRequestSchema,
  type TableSpanBlockStatus,
  TableSpanBlockStatusSchema,
} from "../../protocol/messages.ts";
import type { Kept } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { changefeedMessage } from "../base/space.ts";
import type { Session } from "../session/session.ts";
import { inPieces, KEPT_BYTES, KEPT_OVERHEAD, LIVES_PER_STATUS } from "./early-limits.ts";
import type { Report, SpaceInput, StatusMessage } from "./input.ts";
import { takeIn } from "./intake.ts";

/** One item of what is kept, and what it is called: the same for the same content of the same node. */
interface Piece {
  readonly kept: Kept;
  /** The reports that it holds; empty: component states. */
  readonly reports: readonly Report[];
}

/**
 * Keeps reports of lives that are not known yet until their registration comes (protocol.md R6), in as few items as hold
 * them. Where there is no room they are not kept: who has no ACK reports again.
 * @returns whether the roster has changed since, so that they are to be looked at again
 */
export function* keepEarly(session: Session, reports: readonly Report[]): Program<boolean> {
  const before = session.root?.rosterVersion;
  const kept = yield* ask("readKept", session.space);
  const known = knownLives(session, kept);
  const pieces = [...Map.groupBy(reports, (report) => report.message)].flatMap(([message, of]) =>
    piecesOf(session, message, isKept(message) ? of : of.flatMap((report) => notYetKept(report, known))),
  );
  yield* store(session, kept, pieces);
  // A registration that was committed before this read saw nothing kept, so it is seen here; a later one reads it.
  yield* session.refresh();
  return session.root?.rosterVersion !== before;
}

/** A component state as bytes is no longer: seven numbers. */
const STATUS_BYTES = 72;

/** Keeps component states of lives that are not known yet. */
export function* keepEarlyStatuses(
  session: Session,
  sender: Sender,
  early: readonly Outcome["early"][number][],
  fromKept = false,
): Program<void> {
  const kept = yield* ask("readKept", session.space);
  const statuses = early.map(({ id, life, state, checkpointTs }) => ({
    ID: dispatcherId(id),
    life: sender.start > 0n ? life : 0n,
    componentStatus: state,
    checkpointTs,
    mode: session.space.mode,
  }));
  const request = (some: typeof statuses) =>
    create(HeartBeatRequestSchema, { changefeedID: changefeedMessage(session.space), statuses: some });
  const pieces = inPieces(statuses, () => STATUS_BYTES).map((some): Piece => {
    // A heartbeat that says the same of the same dispatchers takes the place of the one before, however far they are.
    const content = some.map(
      ({ ID, life, componentStatus }) => `${ID.high}/${ID.low}/${life}/${componentStatus}`,
    );
    const body = encode("HeartBeatRequest", "protobuf", request(some));
    return { kept: keptFrom("HeartBeatRequest", body, sender, content.join()), reports: [] };
  });
  yield* store(session, fromKept ? undefined : kept, pieces);
}

function keptFrom(type: Kept["type"], body: string, sender: Sender, content: string): Kept {
  const id = createHash("sha256")
    .update(`${type} ${sender.node} ${sender.start} ${content}`)
    .digest("base64url");
  return { id, type, body, ...sender };
}

/** The message a kept item is read as. */
const KEPT_PREFIX = "kept/";
export const isKept = (message: StatusMessage) => message.messageId.startsWith(KEPT_PREFIX);

/**
 * Writes what is to be kept, as far as there is room for it. What was kept before and is kept again in part has its room.
 * @param present what is kept already
 */
function* store(
  session: Session,
  present: readonly Kept[] | undefined,
  pieces: readonly Piece[],
): Program<void> {
  const places = new Map(present?.map((one) => [one.id, one]));
  let bytes = 0;
  for (const one of places.values()) bytes += sizeOf(one);
  for (const { kept, reports } of pieces) {
    const place = places.get(kept.id);
    const again = reports[0] !== undefined && isKept(reports[0].message);
    session.keptNow.add(kept.id);
    // A message that comes again does not make younger what is kept.
    if (place !== undefined && place.sentAt >= kept.sentAt) continue;
    if (present !== undefined && place === undefined && !again) {
      bytes += sizeOf(kept);
      if (bytes > KEPT_BYTES) {
        turnAway(session, kept, reports);
        continue;
      }
    }
    places.set(kept.id, kept);
    yield* ask("keep", session.space, kept);
    for (const { key, sender, lives } of reports)
      session.observer.note({
        what: "report-kept",
        space: session.space.text,
        key,
        node: sender.node,
        count: lives.length,
      });
  }
}

const sizeOf = (kept: Kept) => Math.ceil((kept.body.length * 3) / 4) + KEPT_OVERHEAD;

/** There is no room: a node whose queue is known is told to ask again soon, any other does so without being told. */
function turnAway(session: Session, kept: Kept, reports: readonly Report[]): void {
  session.observer.note({
    what: "report-not-kept",
    space: session.space.text,
    node: kept.node,
    detail: "too much is kept of dispatchers that have not registered",
    count: Math.max(
      1,
      reports.reduce((sum, { lives }) => sum + lives.length, 0),
    ),
  });
  const { node, queue } = {
    node: kept.node,
    queue: session.memory.roster?.nodes.get(kept.node)?.nodeQueue ?? "",
  };
  if (queue === "" || session.root === undefined) return;
  for (const { key, lives, stage } of reports)
    if (stage === "waiting")
      session.outbox.ignored(
        key,
        lives.map(({ id, life }) => ({ id, life, node, queue })),
      );
}

/** What is kept of lives that reports name, so that reporting again in another message takes no second place. */
function knownLives(session: Session, kept: readonly Kept[]): ReadonlyMap<string, number> {
  const known = new Map<string, number>();
  for (const { input } of inputsOf(session, kept))
    for (const report of input.reports)
      for (const life of report.lives) {
        const name = nameOf(report, life);
        known.set(name, Math.max(known.get(name) ?? 0, input.message.sentAt));
      }
  return known;
}

const nameOf = ({ sender, key, stage, done, digest }: Report, { id, life }: Report["lives"][number]) =>
  `${id} ${life} ${key} ${stage} ${done} ${digest} ${sender.start} ${sender.node}`;

/** A life that an old node does not name is the one that was there when it was sent: a later report is not the same. */
function notYetKept(report: Report, known: ReadonlyMap<string, number>): Report[] {
  const lives = report.lives.filter((one) => {
    const keptAt = known.get(nameOf(report, one));
    return keptAt === undefined || (one.life === 0n && keptAt < report.message.sentAt);
  });
  return lives.length > 0 ? [{ ...report, lives }] : [];
}

/** The items that hold what a message reports; its body is decoded once. */
function piecesOf(session: Session, message: StatusMessage, reports: readonly Report[]): Piece[] {
  const [first] = reports;
  if (first === undefined) return [];
  const { encoding } = message.attributes;
  const sent = decode("BlockStatusRequest", encoding === "protobuf" ? "protobuf" : "json", message.body);
  const statuses = reports.flatMap((report) => {
    const { state, mode } = sent.blockStatuses[report.index]!;
    const some: { report: Report; status: TableSpanBlockStatus }[] = [];
    for (let from = 0; from < report.lives.length; from += LIVES_PER_STATUS) {
      const lives = report.lives.slice(from, from + LIVES_PER_STATUS);
      some.push({
        report: { ...report, lives },
        status: create(TableSpanBlockStatusSchema, {
          ...(state && { state }),
          mode,
          dispatcherIDs: lives.map((one) => dispatcherId(one.id)),
          lives: lives.map((one) => one.life),
        }),
      });
    }
    return some;
  });
  return inPieces(statuses, ({ status }) => toBinary(TableSpanBlockStatusSchema, status).length).map(
    (some) => {
      const body = encode(
        "BlockStatusRequest",
        "protobuf",
        create(BlockStatusRequestSchema, {
          changefeedID: changefeedMessage(session.space),
          blockStatuses: some.map(({ status }) => status),
          mode: session.space.mode,
        }),
      );
      return {
        kept: keptFrom("BlockStatusRequest", body, first.sender, body),
        reports: some.map(({ report }) => report),
      };
    },
  );
}

/** What is kept, as inputs like those of a message, oldest first. */
export function* readKept(session: Session): Program<{ id: string; input: SpaceInput }[]> {
  return inputsOf(session, yield* ask("readKept", session.space));
}

function inputsOf(session: Session, kept: readonly Kept[]): { id: string; input: SpaceInput }[] {
  return [...kept]
    .sort((a, b) => a.sentAt - b.sentAt)
    .flatMap((one) => {
      const message = {
        messageId: `${KEPT_PREFIX}${one.id}`,
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
