/** Messages that are surely wrong, each with what its dead letter must say. */
import fc from "fast-check";
import type { StatusMessage } from "../../src/maintainer/intake/input.ts";
import { d, ddl, everybody, node, normal, type World } from "../../src/maintainer/testing/world.ts";

export interface Faulty {
  readonly message: StatusMessage;
  readonly reason: RegExp;
}

const n3 = node("n3");
const key = ddl(5_000n);

type Maker = (world: World) => Faulty;

/** A report as JSON, in which something is otherwise. */
function report(
  world: World,
  change: (status: Record<string, unknown>, body: Record<string, unknown>) => void,
) {
  const message = world.waiting(n3, [d(900)], key, { BlockTables: everybody });
  const body = JSON.parse(message.body) as Record<string, unknown>;
  change((body["blockStatuses"] as Record<string, unknown>[])[0]!, body);
  return { ...message, body: JSON.stringify(body) };
}

const state = (status: Record<string, unknown>) => status["state"] as Record<string, unknown>;

const reports: readonly [(status: Record<string, unknown>, body: Record<string, unknown>) => void, RegExp][] =
  [
    [(status) => delete state(status)["BlockTs"], /BlockTs is 0/],
    [(status) => delete status["state"], /state is absent/],
    [(status) => delete status["dispatcherIDs"], /no dispatcher/],
    [(status) => Object.assign(status, { lives: ["1", "2"] }), /lives has 2 entries/],
    [(status) => delete status["lives"], /life is absent/],
    [(status) => Object.assign(state(status), { IsBlocked: false }), /IsBlocked is false/],
    [(status) => Object.assign(state(status), { stage: 9 }), /stage 9 cannot be reported/],
    [(status) => Object.assign(state(status), { stage: "DONE", doneAction: 7 }), /doneAction 7 is unknown/],
    [(status) => delete state(status)["BlockTables"], /BlockTables is absent/],
    [(status) => Object.assign(state(status), { BlockTables: { InfluenceType: 9 } }), /InfluenceType 9/],
    [(status) => Object.assign(state(status), { BlockTables: { InfluenceType: "Normal" } }), /no TableIDs/],
    [(status) => Object.assign(state(status), { NeedDroppedTables: {} }), /NeedDroppedTables is All/],
    [
      (status) =>
        Object.assign(state(status), { NeedDroppedTables: { InfluenceType: "Normal", TableIDs: ["0"] } }),
      /names table 0/,
    ],
    [(_, body) => delete body["changefeedID"], /changefeedID is absent/],
    [(_, body) => Object.assign(body, { mode: "5" }), /mode is 5/],
    [(_, body) => Object.assign(body, { blockStatuses: 5 }), /is not a BlockStatusRequest/],
    [(_, body) => Object.assign(body, { changefeedID: [] }), /is not a BlockStatusRequest/],
  ];

const registration = (world: World) => world.registration(n3, [{ id: d(900), table: 90n }]);
const opening = (world: World) => world.opening(n3, d(901), []);

const attributes: readonly [(world: World) => StatusMessage, Record<string, string | undefined>, RegExp][] = [
  [registration, { type: undefined }, /attribute type is absent/],
  [registration, { type: "Nonsense" }, /attribute type is "Nonsense"/],
  [registration, { from: undefined }, /attribute from is absent/],
  [registration, { encoding: "xml" }, /attribute encoding is "xml"/],
  [registration, { encoding: "protobuf" }, /is not a MaintainerBootstrapResponse/],
  [registration, { start: "soon" }, /attribute start is "soon"/],
  [registration, { start: "-1" }, /attribute start is "-1"/],
  [registration, { sentAt: "9007199254740993" }, /attribute sentAt/],
  [registration, { replyQueue: undefined }, /replyQueue is absent/],
  [registration, { replyQueue: "https://elsewhere/queue" }, /attribute replyQueue/],
  [registration, { replyQueue: "somebody-elses" }, /attribute replyQueue/],
  [registration, { nodeQueue: "somebody-elses" }, /attribute nodeQueue/],
  [opening, { part: "0", parts: "2" }, /part 0 of 2/],
  [opening, { part: "3", parts: "2" }, /part 3 of 2/],
  [opening, { part: "1", parts: "-2" }, /attribute parts/],
  [registration, { from: "n".repeat(2_000) }, /attribute from is \d+ bytes long/],
];

/** A JSON object that ends too early is none. */
const cut: Maker = (world) => {
  const message = registration(world);
  return {
    message: { ...message, body: message.body.slice(0, message.body.length >> 1) },
    reason: /proto3 JSON/,
  };
};

const json =
  (
    make: (world: World) => StatusMessage,
    change: (body: Record<string, unknown>) => void,
    reason: RegExp,
  ): Maker =>
  (world) => {
    const message = make(world);
    const body = JSON.parse(message.body) as Record<string, unknown>;
    change(body);
    return { message: { ...message, body: JSON.stringify(body) }, reason };
  };
const span = (body: Record<string, unknown>) => (body["spans"] as Record<string, unknown>[])[0]!;
const status = (world: World) => world.status(n3, d(900), 1n, 3);
const first = (body: Record<string, unknown>) => (body["statuses"] as Record<string, unknown>[])[0]!;

export const FAULTY: readonly Maker[] = [
  ...reports.map(
    ([change, reason]): Maker =>
      (world) => ({ message: report(world, change), reason }),
  ),
  ...attributes.map(
    ([make, change, reason]): Maker =>
      (world) => {
        const message = make(world);
        const changed = Object.entries({ ...message.attributes, ...change });
        const kept = changed.filter((one): one is [string, string] => one[1] !== undefined);
        return { message: { ...message, attributes: Object.fromEntries(kept) }, reason };
      },
  ),
  cut,
  json(registration, (body) => delete span(body)["ID"], /spans\[0\]: ID is absent/),
  json(registration, (body) => Object.assign(span(body), { mode: "7" }), /spans\[0\]: mode is 7/),
  json(
    registration,
    (body) => Object.assign(span(body), { componentStatus: 42 }),
    /spans\[0\]: component_status 42/,
  ),
  json(
    registration,
    (body) => Object.assign(span(body), { span: { TableID: "90", StartKey: btoa("k".repeat(9_000)) } }),
    /spans\[0\]: StartKey/,
  ),
  json(
    registration,
    (body) => Object.assign(body, { changefeedID: { name: "c".repeat(5_000) } }),
    /changefeedID is \d+ bytes long/,
  ),
  json(status, (body) => delete first(body)["ID"], /statuses\[0\]: ID is absent/),
  json(status, (body) => Object.assign(first(body), { mode: "-1" }), /statuses\[0\]: mode is -1/),
  json(
    status,
    (body) => Object.assign(first(body), { componentStatus: 42 }),
    /statuses\[0\]: component_status 42/,
  ),
  json(status, (body) => delete first(body)["life"], /statuses\[0\]: life is absent/),
];

/** Something of which one part is wrong and one is right: the right one counts. */
export function partlyRight(world: World, from: ReturnType<typeof node>, right: string): Faulty {
  const message = world.waiting(from, [right], ddl(100n), { BlockTables: normal(10n, 20n) });
  const body = JSON.parse(message.body) as { blockStatuses: unknown[] };
  body.blockStatuses.unshift({ state: { BlockTs: "0", IsBlocked: true } });
  body.blockStatuses.push({ ID: { high: "0", low: "1" }, life: "1", state: { BlockTs: "7", stage: 9 } });
  return {
    message: { ...message, body: JSON.stringify(body) },
    reason: /blockStatuses\[0\]: BlockTs is 0.*blockStatuses\[2\]: stage 9/,
  };
}

export const anyFaulty = fc.constantFrom(...FAULTY);
