/** A capture node against a coordinator that is played by the test: real messages on queues in memory. */
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dispatcherId, dispatcherKey } from "../barrier/dispatcher-id.ts";
import { decode, encode } from "../protocol/codec.ts";
import {
  Action,
  BlockStage,
  ChangefeedIDSchema,
  ComponentState,
  DoneAction,
  HeartBeatResponseSchema,
  InfluenceType,
} from "../protocol/messages.ts";
import type { HostedDispatcher } from "./dispatcher.ts";
import { RegistrationRefused } from "./errors.ts";
import type { Dispatcher } from "./hosted.ts";
import { CaptureNode } from "./node.ts";
import type { CaptureNodeOptions } from "./options.ts";
import type { Sink } from "./sink.ts";
import { ManualClock } from "./testing/capture.ts";
import { everybody, MemoryQueues, normal } from "./testing/doubles.ts";

const changefeed = create(ChangefeedIDSchema, { low: 1n, name: "cf" });
const id = (low: bigint) => dispatcherKey({ high: 0n, low });
const key = { commitTs: 100n, isSyncPoint: true };
const syncpoint = { key, blockTables: everybody, payload: undefined };

let queues: MemoryQueues;
let node: CaptureNode;
let calls: string[];
let write: PromiseWithResolvers<void>;
const sink = (name: string): Sink => ({
  write: async () => void calls.push(`${name} rows`),
  flushBeforeBlock: async () => void calls.push(`${name} flush`),
  writeBlockEvent: async () => {
    calls.push(`${name} write`);
    await write.promise;
  },
  passBlockEvent: async () => void calls.push(`${name} pass`),
});

async function start(options: Partial<CaptureNodeOptions> = {}): Promise<void> {
  queues = new MemoryQueues();
  calls = [];
  write = Promise.withResolvers();
  node = new CaptureNode({
    id: "n1",
    changefeed,
    queues,
    statusQueueUrl: "status",
    actionQueuePrefix: "p-",
    foldMs: 1,
    ...options,
  });
  await node.start();
}
beforeEach(() => start());
afterEach(() => node.stop());

async function until<T>(what: () => T | undefined | false): Promise<T> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const found = what();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("it did not happen");
}

const sent = (type: string) =>
  queues.waiting("status").filter((message) => message.attributes["type"] === type);
/** Registrations of dispatchers, without the one of the node's start. */
const registrations = () =>
  sent("MaintainerBootstrapResponse").filter(
    (message) => decode("MaintainerBootstrapResponse", "json", message.body).spans.length > 0,
  );
/** The life of the first dispatcher of each registration. */
const lives = () =>
  registrations().map(
    (message) => decode("MaintainerBootstrapResponse", "json", message.body).spans[0]!.life,
  );
const statuses = () =>
  sent("BlockStatusRequest").flatMap(
    (message) => decode("BlockStatusRequest", "json", message.body).blockStatuses,
  );

/** Begins to create a dispatcher: its registration has no answer. */
const creating = (low: bigint, tableId = low) =>
  node.createDispatcher({
    id: id(low),
    tableId,
    schemaId: 1n,
    checkpointTs: 1n,
    sink: sink(`d${low}`),
  });

/** Creates a dispatcher and answers its registration. */
async function dispatcher(low: bigint, tableId = low): Promise<Dispatcher> {
  const created = creating(low, tableId);
  const registration = await until(() => registrations().at(-1));
  const [span] = decode("MaintainerBootstrapResponse", "json", registration.body).spans;
  await answer(
    "RegistrationResult",
    JSON.stringify({
      accepted: [{ id: wire(low), life: String(span!.life) }],
      refused: [],
      maintainerEpoch: "1",
    }),
  );
  queues.take("status");
  return created;
}
const wire = (low: bigint) => ({ high: "0", low: low.toString() });
const answer = (type: string, body: string, queue = "p-n1") =>
  queues.send(queue, { body, attributes: { type, encoding: "json" } });

function respond(
  about: {
    action?: Action;
    ack?: true | typeof key;
    to: readonly Dispatcher[];
    epoch?: bigint;
    lives?: bigint[];
  },
  queue?: string,
) {
  const response = create(HeartBeatResponseSchema, {
    changefeedID: changefeed,
    maintainerEpoch: about.epoch ?? 1n,
    dispatcherStatuses: [
      {
        influencedDispatchers: {
          InfluenceType: InfluenceType.Normal,
          DispatcherIDs: about.to.map((one) => dispatcherId(one.config.id)),
        },
        lives: about.lives ?? about.to.map((one) => one.life),
        ...(about.ack && {
          ack:
            about.ack === true
              ? { CommitTs: key.commitTs, IsSyncPoint: true }
              : { CommitTs: about.ack.commitTs, IsSyncPoint: about.ack.isSyncPoint },
        }),
        ...(about.action !== undefined && {
          action: { action: about.action, CommitTs: key.commitTs, IsSyncPoint: true },
        }),
      },
    ],
  });
  return answer("HeartBeatResponse", encode("HeartBeatResponse", "json", response), queue);
}

describe("a capture node", () => {
  // invariants.md Q2
  it("folds what its dispatchers report at a time into one status", async () => {
    const both = [await dispatcher(1n), await dispatcher(2n)];
    const passed = both.map((one) => one.handle(syncpoint));
    await until(() => statuses().length > 0);
    expect(statuses()).toHaveLength(1);
    expect(statuses()[0]!.dispatcherIDs.map(dispatcherKey)).toEqual([id(1n), id(2n)]);
    expect(statuses()[0]!.lives).toEqual(both.map((one) => one.life));
    expect(statuses()[0]!.state!.stage).toBe(BlockStage.WAITING);
    queues.take("status");
    await respond({ action: Action.Pass, to: both });
    await Promise.all(passed);
    await until(() => statuses().length > 0);
    expect(statuses()[0]!.state!.doneAction).toBe(DoneAction.PASS_DONE);
    expect(calls).toEqual(["d1 flush", "d2 flush", "d1 pass", "d2 pass"]);
  });

  it("deletes an action only when it is executed and its DONE is in the status queue (I7)", async () => {
    const one = await dispatcher(1n);
    const written = one.handle(syncpoint);
    await until(() => statuses().length > 0);
    await respond({ action: Action.Write, to: [one] });
    await respond({ action: Action.Write, to: [one] });
    await until(() => calls.includes("d1 write"));
    expect(queues.waiting("p-n1")).toHaveLength(2);
    queues.broken = "status";
    queues.take("status");
    write.resolve();
    await written;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(queues.waiting("p-n1")).toHaveLength(2);
    queues.broken = undefined;
    await until(() => queues.waiting("p-n1").length === 0);
    expect(statuses().map((status) => status.state!.doneAction)).toEqual([DoneAction.WRITE_DONE]);
    expect(calls.filter((call) => call === "d1 write")).toHaveLength(1);
  });

  it("drops actions of another life and of an earlier epoch (D6, D11)", async () => {
    const one = await dispatcher(1n);
    void one.handle(syncpoint);
    await until(() => statuses().length > 0);
    await respond({ action: Action.Write, to: [one], lives: [one.life + 1n] });
    await respond({ ack: true, to: [one], epoch: 2n });
    await respond({ action: Action.Write, to: [one], epoch: 1n });
    await until(() => queues.waiting("p-n1").length === 0);
    expect(calls).toEqual(["d1 flush"]);
    await respond({ action: Action.Pass, to: [one], epoch: 2n });
    await until(() => calls.includes("d1 pass"));
  });

  it("registers again with a higher life when it is refused (R4)", async () => {
    const created = creating(1n);
    const [first] = await until(() => lives().length === 1 && lives());
    const known = first! + 5_000_000n;
    await answer(
      "RegistrationResult",
      JSON.stringify({
        accepted: [],
        refused: [{ id: wire(1n), life: String(first), knownLife: String(known), reason: "r" }],
      }),
    );
    const [, second] = await until(() => lives().length === 2 && lives());
    expect(second).toBeGreaterThan(known);
    await answer(
      "RegistrationResult",
      JSON.stringify({ accepted: [{ id: wire(1n), life: String(second) }], refused: [] }),
    );
    expect((await created).life).toBe(second);
  });

  // protocol.md R11, D14
  it("registers who it is asked for with the life that it is asked with, and gives it up when another is asked since", async () => {
    const asked = (life: bigint) =>
      node.createDispatcher({
        id: id(1n),
        tableId: 1n,
        schemaId: 1n,
        checkpointTs: 50n,
        life,
        sink: sink("a"),
      });
    const result = (life: bigint, accepted: boolean, knownLife: bigint) =>
      answer(
        "RegistrationResult",
        JSON.stringify({
          accepted: accepted ? [{ id: wire(1n), life: `${life}` }] : [],
          refused: accepted
            ? []
            : [{ id: wire(1n), life: `${life}`, knownLife: `${knownLife}`, reason: "r" }],
        }),
      );
    const late = asked(5n);
    expect(await until(() => lives().length === 1 && lives())).toEqual([5n]);
    await Promise.all([result(5n, false, 5n), expect(late).rejects.toThrow(RegistrationRefused)]);
    expect(node.dispatcher(id(1n))).toBeUndefined();
    queues.take("status");
    // Who was accepted once goes on like any other: its life may be ended by a start of its node, say.
    const inTime = asked(6n);
    await until(() => lives().length === 1);
    await Promise.all([result(6n, true, 0n), inTime]);
    const one = await inTime;
    void one.handle(syncpoint);
    await until(() => statuses().length > 0);
    await result(6n, false, 7n);
    expect(await until(() => lives()[1])).toBeGreaterThan(7n);
  });

  it("registers again, with its event, who waits in a life that a late one has ended (R4)", async () => {
    const one = await dispatcher(1n);
    const before = one.life;
    const superseded = (life: bigint) =>
      answer(
        "RegistrationResult",
        JSON.stringify({
          accepted: [],
          refused: [{ id: wire(1n), life: `${life}`, knownLife: `${life + 5_000_000n}`, reason: "r" }],
        }),
      );
    void one.handle(syncpoint);
    await until(() => statuses().length > 0);
    await superseded(before);
    const registration = await until(() => registrations().at(-1));
    const [span] = decode("MaintainerBootstrapResponse", "json", registration.body).spans;
    expect(span).toMatchObject({
      life: before + 5_000_001n,
      blockState: { stage: BlockStage.WAITING, BlockTs: key.commitTs },
    });
    // An old refusal says nothing of the new life.
    await superseded(before);
    await until(() => queues.waiting("p-n1").length === 0);
    expect(one.life).toBe(before + 5_000_001n);
  });

  it("registers again from before an event that it wrote and that has no ACK, so that its tables are not lost", async () => {
    const one = await dispatcher(1n, 0n);
    write.resolve();
    for (const commitTs of [100n, 110n])
      await one.handle({
        key: { commitTs, isSyncPoint: false },
        needAddedTables: [{ tableId: commitTs, schemaId: 1n }],
        payload: undefined,
      });
    await answer(
      "RegistrationResult",
      JSON.stringify({
        accepted: [],
        refused: [{ id: wire(1n), life: `${one.life}`, knownLife: `${one.life}`, reason: "r" }],
      }),
    );
    const registration = await until(() => registrations().at(-1));
    const [span] = decode("MaintainerBootstrapResponse", "json", registration.body).spans;
    expect([span!.life, span!.checkpointTs]).toEqual([one.life, 99n]);
    // In a higher epoch they are those of the opening.
    queues.take("status");
    node.follow(2n).catch(() => undefined);
    const followed = await until(() => registrations().at(-1));
    const [again] = decode("MaintainerBootstrapResponse", "json", followed.body).spans;
    expect(again!.checkpointTs).toBe(110n);
  });

  it("goes above a start that is known of it, and sends again what was refused (R5)", async () => {
    await start({ tablesPerPart: 1 });
    const tables = [5n, 6n].map((tableId) => ({ tableId, name: `t${tableId}` }));
    await node.open(id(1n), [{ schemaId: 1n, name: "s", tables }]);
    void creating(1n).catch(() => undefined);
    const first = await until(() => registrations().at(-1));
    const refused = first.attributes["start"]!;
    const known = BigInt(refused) + 3_600_000n;
    queues.take("status");
    const result = { accepted: [], refused: [], maintainerEpoch: "1", knownStart: `${known}` };
    await answer("RegistrationResult", JSON.stringify({ ...result, start: `${BigInt(refused) - 1n}` }));
    await until(() => queues.waiting("p-n1").length === 0);
    await answer("RegistrationResult", JSON.stringify({ ...result, start: refused }));
    const again = await until(() => registrations().at(-1));
    expect(again.attributes["start"]).toBe(`${known + 1n}`);
    expect(sent("MaintainerPostBootstrapRequest").map(({ attributes }) => attributes["start"])).toEqual([
      `${known + 1n}`,
      `${known + 1n}`,
    ]);
    await expect(node.open(id(1n), [{ schemaId: 1n, name: "s", tables: tables.slice(1) }])).rejects.toThrow(
      /opened by this process with other tables/,
    );
  });

  it("takes no answer to another start of it for its own, though both name the life that was asked for (R5)", async () => {
    const life = 7n;
    const about = { id: id(1n), tableId: 1n, schemaId: 1n, checkpointTs: 1n, life, sink: sink("d1") };
    let accepted = false;
    void node.createDispatcher(about).then(() => {
      accepted = true;
    });
    const { attributes } = await until(() => registrations().at(-1));
    const start = BigInt(attributes["start"]!);
    const result = { accepted: [{ id: wire(1n), life: "7" }], refused: [], maintainerEpoch: "1" };
    await answer("RegistrationResult", JSON.stringify({ ...result, start: `${start - 1n}` }));
    await until(() => queues.waiting("p-n1").length === 0);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(accepted).toBe(false);
    await answer("RegistrationResult", JSON.stringify({ ...result, start: `${start}` }));
    await until(() => accepted);
  });

  it("repeats what waits, though its clock was set back by an hour since (D4)", async () => {
    const clock = new ManualClock();
    const beats = setInterval(() => clock.advance(1), 1);
    try {
      await start({ clock });
      const one = await dispatcher(10n);
      void one.handle(syncpoint);
      await until(() => statuses().length > 0);
      clock.set(-3_600_000);
      await respond({ ack: true, to: [one] });
      await until(() => queues.waiting("p-n1").length === 0);
      queues.take("status");
      // The ACK has come before the clock was set, or behind that: in both cases it is said again in the usual time.
      clock.set(-3_600_000);
      for (let turn = 0; turn < 3; turn++) clock.advance(15_000);
      await until(() => statuses().length > 0);
    } finally {
      clearInterval(beats);
    }
  });

  // protocol.md D14
  it("hears once that the changefeed is in a higher epoch", async () => {
    const epochs: bigint[] = [];
    await start({ onHigherEpoch: (epoch) => epochs.push(epoch) });
    for (const maintainerEpoch of ["3", "3", "1", "4"])
      await answer("RegistrationResult", JSON.stringify({ accepted: [], refused: [], maintainerEpoch }));
    await until(() => epochs.length === 2);
    expect(epochs).toEqual([3n, 4n]);
  });

  it("says that it leaves when it goes for good, and not before its sink is at no work any more", async () => {
    const one = await dispatcher(1n);
    void one.handle(syncpoint);
    await until(() => statuses().length > 0);
    await respond({ action: Action.Write, to: [one] });
    await until(() => calls.includes("d1 write"));
    const leaving = () =>
      sent("HeartBeatRequest").filter((message) => decode("HeartBeatRequest", "json", message.body).leaving)
        .length;
    const stopped = node.stop({ deleteQueues: true });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(leaving()).toBe(0);
    write.resolve();
    await stopped;
    expect(leaving()).toBe(1);
  });

  it("leaves its queues where they are when it stops, or takes them away if it will not come back", async () => {
    await node.stop();
    expect([...queues.queues.keys()]).toContain("p-n1");
    await start({ layout: "dispatcher" });
    const created = creating(1n);
    created.catch(() => undefined);
    await until(() => sent("MaintainerBootstrapResponse").at(-1));
    expect([...queues.queues.keys()]).toEqual(expect.arrayContaining(["p-n1", `p-${id(1n)}`]));
    await node.stop({ deleteQueues: true });
    expect([...queues.queues.keys()]).toEqual(["status"]);
  });

  // protocol.md D14
  it("gives up a dispatcher that is refused for another reason than its life", async () => {
    const created = creating(1n);
    const registration = await until(() => registrations().at(-1));
    const [span] = decode("MaintainerBootstrapResponse", "json", registration.body).spans;
    const refused = [
      { id: wire(1n), life: String(span!.life), knownLife: "0", reason: "table 1 was dropped" },
    ];
    const told = expect(created).rejects.toThrow(RegistrationRefused);
    await answer("RegistrationResult", JSON.stringify({ accepted: [], refused }));
    await told;
    expect(node.dispatcher(id(1n))).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(registrations()).toHaveLength(1);
  });

  it("says that it has started, though it brings no dispatcher back (R5)", () => {
    const [message] = sent("MaintainerBootstrapResponse");
    expect(message!.attributes).toMatchObject({ from: "n1", replyQueue: "p-n1", nodeQueue: "p-n1" });
    expect(Number(message!.attributes["start"])).toBeGreaterThan(0);
    expect(decode("MaintainerBootstrapResponse", "json", message!.body).spans).toEqual([]);
  });

  it("ends the last life that it registered, though a refusal comes while it removes (R5)", async () => {
    const created = creating(1n);
    const told = expect(created).rejects.toThrow("removed before it was accepted");
    const [first] = await until(() => lives().length > 0 && lives());
    queues.broken = "status";
    const removed = node.removeDispatcher(id(1n));
    // That it is removed is on the way when it is refused.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await answer(
      "RegistrationResult",
      JSON.stringify({
        accepted: [],
        refused: [{ id: wire(1n), life: String(first), knownLife: String(first! + 100n), reason: "r" }],
      }),
    );
    await until(() => queues.waiting("p-n1").length === 0);
    queues.broken = undefined;
    await removed;
    await told;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const ended = decode("HeartBeatRequest", "json", sent("HeartBeatRequest").at(-1)!.body).statuses[0]!.life;
    for (const life of lives()) expect(life).toBeLessThanOrEqual(ended);
  });

  it("says once more that a dispatcher is gone which is accepted after its end (R5)", async () => {
    const one = await dispatcher(1n);
    await node.removeDispatcher(id(1n));
    const there = await dispatcher(2n);
    sent("HeartBeatRequest");
    const accepted = [
      { id: wire(1n), life: String(one.life) },
      { id: wire(2n), life: String(there.life) },
    ];
    await answer("RegistrationResult", JSON.stringify({ accepted, refused: [] }));
    const message = await until(() => sent("HeartBeatRequest").at(-1));
    const { statuses } = decode("HeartBeatRequest", "json", message.body);
    const ended = statuses.map(({ ID, life, componentStatus }) => [ID!.low, life, componentStatus]);
    expect(ended).toEqual([[1n, one.life, ComponentState.Removed]]);
  });

  it("registers nobody in a higher epoch whom it is removing", async () => {
    const one = await dispatcher(1n);
    queues.broken = "status";
    const removed = node.removeDispatcher(id(1n));
    await node.follow(2n);
    queues.broken = undefined;
    await removed;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(registrations()).toEqual([]);
    const ended = decode("HeartBeatRequest", "json", sent("HeartBeatRequest").at(-1)!.body).statuses[0]!.life;
    expect(ended).toBe(one.life);
  });

  it("registers one in a higher epoch that cannot be removed before its ACK comes", async () => {
    const needAddedTables = [{ tableId: 9n, schemaId: 1n }];
    const create = { key: { commitTs: 50n, isSyncPoint: false }, needAddedTables, payload: undefined };
    const blockTables = normal(0n);
    const trigger = await dispatcher(1n, 0n);
    write.resolve();
    await trigger.handle({ ...create, blockTables });
    await until(() => statuses().length > 0);
    const removed = node.removeDispatcher(id(1n));
    const followed = node.follow(2n);
    await until(() => registrations().length > 0);
    await answer(
      "RegistrationResult",
      JSON.stringify({
        accepted: [{ id: wire(1n), life: String(trigger.life) }],
        refused: [],
        maintainerEpoch: "2",
      }),
    );
    await followed;
    await respond({ ack: create.key, to: [trigger], epoch: 2n });
    await removed;
    expect(sent("HeartBeatRequest")).toHaveLength(1);
  });

  it("leaves one to who creates it, in a higher epoch, as long as it has no queue", async () => {
    await node.stop();
    await start({ layout: "dispatcher" });
    const creating = Promise.withResolvers<string>();
    queues.createQueue = () => creating.promise;
    const config = { id: id(1n), tableId: 1n, schemaId: 1n, checkpointTs: 1n, sink: sink("d1") };
    const created = node.createDispatcher(config);
    await node.follow(2n);
    creating.reject(new Error("no answer"));
    await expect(created).rejects.toThrow("no answer");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(registrations()).toEqual([]);
  });

  it("removes a dispatcher whose queue is still being created", async () => {
    await node.stop();
    await start({ layout: "dispatcher" });
    const create = Promise.withResolvers<void>();
    const createQueue = queues.createQueue.bind(queues);
    queues.createQueue = async (name) => {
      await create.promise;
      return createQueue(name);
    };
    const created = creating(1n);
    const told = expect(created).rejects.toThrow("removed before it was accepted");
    await node.removeDispatcher(id(1n));
    create.resolve();
    await told;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(registrations()).toEqual([]);
    expect([...queues.queues.keys()].sort()).toEqual(["p-n1", "status"]);
  });

  it("begins nothing more when it is closing a dispatcher (D10a)", async () => {
    const one = await dispatcher(1n);
    queues.broken = "status";
    void one.handle(syncpoint);
    await until(() => calls.includes("d1 flush"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    // Its WAITING is on the way; closing waits for that.
    const removed = node.removeDispatcher(id(1n));
    await respond({ action: Action.Write, to: [one] });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(queues.waiting("p-n1")).toHaveLength(1);
    queues.broken = undefined;
    await removed;
    await until(() => queues.waiting("p-n1").length === 0);
    expect(calls).toEqual(["d1 flush"]);
  });

  // invariants.md Q3
  it("polls a dispatcher's own queue only while an answer may come", async () => {
    await node.stop();
    await start({ layout: "dispatcher" });
    const queue = `p-${id(1n)}`;
    const created = creating(1n);
    const registration = await until(() => registrations().at(-1));
    expect(registration.attributes["replyQueue"]).toBe(queue);
    expect(registration.attributes["nodeQueue"]).toBe("p-n1");
    const [span] = decode("MaintainerBootstrapResponse", "json", registration.body).spans;
    await answer(
      "RegistrationResult",
      JSON.stringify({ accepted: [{ id: wire(1n), life: String(span!.life) }], refused: [] }),
      queue,
    );
    const one = await created;
    await new Promise((resolve) => setTimeout(resolve, 20));
    const idle = queues.receives.get(queue);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(queues.polls.get(queue)).toBe(0);
    expect(queues.receives.get(queue)).toBe(idle);
    const passed = one.handle(syncpoint);
    await until(() => statuses().length > 0);
    await respond({ action: Action.Pass, to: [one] }, queue);
    await passed;
    expect(queues.receives.get(queue)).toBeGreaterThan(idle!);
  });
});

describe("modes and epochs", () => {
  const opening = () => {
    const message = sent("MaintainerPostBootstrapRequest").at(-1);
    return message && decode("MaintainerPostBootstrapRequest", "json", message.body);
  };

  it("opens redo by its own schemas, on a queue of its own (M17)", async () => {
    await node.stop();
    await start({ mode: "redo" });
    expect([...queues.queues.keys()]).toContain("p-n1-redo");
    await node.open(id(1n), []);
    expect(opening()).toMatchObject({ schemas: [], redoSchemas: [{ Tables: [] }] });
    await node.open(id(1n), [{ schemaId: 1n, name: "s", tables: [{ tableId: 5n, name: "t" }] }]);
    expect(opening()).toMatchObject({ schemas: [], redoSchemas: [{ Tables: [{ TableID: 5n }] }] });
  });

  it("obeys nothing of another mode or changefeed", async () => {
    const one = await dispatcher(1n);
    const handled = one.handle(syncpoint);
    await until(() => statuses().length > 0);
    for (const other of [{ mode: 1n }, { changefeedID: create(ChangefeedIDSchema, { low: 9n, name: "cf" }) }])
      await answer(
        "HeartBeatResponse",
        encode(
          "HeartBeatResponse",
          "json",
          create(HeartBeatResponseSchema, {
            changefeedID: changefeed,
            maintainerEpoch: 1n,
            dispatcherStatuses: [
              {
                influencedDispatchers: {
                  InfluenceType: InfluenceType.Normal,
                  DispatcherIDs: [dispatcherId(one.config.id)],
                },
                action: { action: Action.Write, CommitTs: 100n, IsSyncPoint: true },
              },
            ],
            ...other,
          }),
        ),
      );
    await until(() => queues.waiting("p-n1").length === 0);
    expect(calls).toEqual(["d1 flush"]);
    write.resolve();
    await respond({ action: Action.Write, to: [one] });
    await handled;
    expect(calls).toEqual(["d1 flush", "d1 write"]);
  });

  it("follows a higher epoch with what it has behind it and the event at which it stands (M14)", async () => {
    const one = await dispatcher(1n);
    void one.handle(syncpoint);
    await until(() => statuses().length > 0);
    queues.take("status");
    const followed = node.follow(2n);
    const again = await until(() => registrations().at(-1));
    const registration = decode("MaintainerBootstrapResponse", "json", again.body);
    expect(registration).toMatchObject({
      maintainerEpoch: 2n,
      spans: [
        {
          checkpointTs: 1n,
          life: one.life,
          blockState: { IsBlocked: true, BlockTs: 100n, IsSyncPoint: true, stage: BlockStage.WAITING },
        },
      ],
    });
    await answer(
      "RegistrationResult",
      JSON.stringify({
        accepted: [{ id: wire(1n), life: String(one.life) }],
        refused: [],
        maintainerEpoch: "2",
      }),
    );
    await followed;
    await expect(node.follow(2n)).rejects.toThrow("epoch 2 is not above 2");
    await respond({ action: Action.Write, to: [one], epoch: 2n });
    await until(() => calls.includes("d1 write"));
    expect(one.blockedAt).toMatchObject({ stage: "writing" });
    const { blockState } = one as HostedDispatcher;
    expect(blockState?.stage).toBe(BlockStage.WRITING);
    write.resolve();
    await until(() => one.finishedTs === 100n);
    // Its checkpoint alone would say that the syncpoint is still to come (R10).
    expect((one as HostedDispatcher).blockState).toMatchObject({
      BlockTs: 100n,
      IsSyncPoint: true,
      stage: BlockStage.DONE,
    });
  });
});

describe("coordinators (protocol.md D12)", () => {
  it("obeys nobody else, tells who it was, and leaves nothing in the queue", async () => {
    const errors: Error[] = [];
    await node.stop();
    await start({ coordinators: ["AROACOORDINATOR"], onError: (error) => errors.push(error as Error) });
    queues.sender = "AROACOORDINATOR";
    const one = await dispatcher(1n);
    const handled = one.handle(syncpoint);
    await until(() => statuses().length > 0);
    // Of a client that does not say who sent it, nothing counts either.
    for (const sender of ["AIDASTRANGER", "", undefined]) {
      queues.sender = sender;
      await respond({ action: Action.Write, to: [one], epoch: 9n });
      await until(() => queues.waiting("p-n1").length === 0);
    }
    expect(calls).toEqual(["d1 flush"]);
    expect(errors.map(({ name }) => name)).toEqual(["UnknownSender", "UnknownSender", "UnknownSender"]);
    expect(errors[0]!.message).toMatch(/type "HeartBeatResponse" was sent by "AIDASTRANGER"/);
    // The epoch that strangers named has shut nobody out.
    queues.sender = "AROACOORDINATOR";
    await respond({ action: Action.Pass, to: [one] });
    await handled;
  });

  it("without them obeys whoever may send there", async () => {
    const one = await dispatcher(1n);
    const handled = one.handle(syncpoint);
    await until(() => statuses().length > 0);
    queues.sender = "AIDASOMEBODY";
    await respond({ action: Action.Pass, to: [one] });
    await handled;
  });
});

describe("skipDmlAsStartTs (ticdc.md TM59)", () => {
  it("drops the rows of the commitTs right behind the start, and no others", async () => {
    const taken: unknown[] = [];
    const config = {
      id: id(7n),
      tableId: 7n,
      schemaId: 1n,
      checkpointTs: 99n,
      sink: { ...sink("d7"), write: async (rows: readonly unknown[]) => void taken.push(...rows) },
    };
    const commitTsOf = (row: { commitTs: bigint }) => row.commitTs;
    const rows = [{ commitTs: 99n }, { commitTs: 100n }, { commitTs: 101n }];
    for (const skipDmlAsStartTs of [true, false]) {
      // It is never accepted: it is stopped with its node.
      node.createDispatcher({ ...config, skipDmlAsStartTs, commitTsOf }).catch(() => undefined);
      await until(() => node.dispatcher(id(7n)));
      await node.dispatcher(id(7n))!.write(rows);
    }
    expect(taken).toEqual([rows[0], rows[2], ...rows]);
    await expect(node.createDispatcher({ ...config, skipDmlAsStartTs: true })).rejects.toThrow(
      "needs commitTsOf",
    );
  });
});
