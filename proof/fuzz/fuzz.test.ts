/** Messages that nobody should send: nothing throws, nothing is lost, each bad one is kept with its reason (I10). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StatusMessage } from "../../src/maintainer/intake/input.ts";
import { again, d, ddl, everybody, node, normal, World } from "../../src/maintainer/testing/world.ts";
import { decode, MalformedMessage, type MessageType, schemas } from "../../src/protocol/codec.ts";
import { ComponentState } from "../../src/protocol/messages.ts";
import { StrictStore } from "../../src/storage/testing/strict-store.ts";
import { anyMessage, anyVector, mutated, mutatedAttributes } from "./arbitrary.ts";
import { anyFaulty, FAULTY, partlyRight } from "./faulty.ts";

/** How often everything is tried, and from which seed: `FUZZ_RUNS=20000 FUZZ_SEED=7 npx vitest run proof/fuzz`. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 400);
const seed = Number(process.env["FUZZ_SEED"] ?? 1);
const timeout = 60_000 + RUNS * 100;

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const key = ddl(100n);
const event = { BlockTables: normal(10n, 20n) };

/** The changefeed that strange messages are about. */
const FUZZED = { high: "9", low: "9", name: "fuzzed", keyspace: "default" };

/** A changefeed with a barrier ahead, on a store as strict as the table. */
async function opened(): Promise<World> {
  const world = new World(new StrictStore());
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
    ]),
    world.registration(n2, [
      { id: d(21), table: 20n, end: "m" },
      { id: d(22), table: 20n, start: "m" },
    ]),
  );
  // The changefeed that strange messages are about has dispatchers too, so that some of them are understood.
  const n9 = { ...node("n9"), start: 7 };
  const spans = [0, 1, 2, 3].map((id) => ({ id: d(id + 1), table: BigInt(id), life: 2n }));
  for (const message of [
    world.opening(
      n9,
      d(1),
      [1n, 2n, 3n].map((id) => ({ id, schema: 1n })),
    ),
    world.registration(n9, spans),
  ])
    await world.handle({
      ...message,
      body: JSON.stringify({ ...JSON.parse(message.body), changefeedID: FUZZED }),
    });
  world.queues.clear();
  return world;
}

const good = (world: World): StatusMessage[] => [
  world.waiting(n1, [d(10)], key, event),
  world.waiting(n2, [d(21), d(22)], key, event),
];

/** A heartbeat and reports of many dispatchers that nobody knows, and a report of many tables. */
function bulk(world: World, from: ReturnType<typeof node>, count: number): StatusMessage[] {
  const many = Array.from({ length: count }, (_, index) => ({
    high: String(2n ** 63n + BigInt(index)),
    low: String(2n ** 62n + BigInt(index)),
  }));
  const lists = (message: StatusMessage, list: string, id: (one: (typeof many)[number]) => object) => {
    const body = JSON.parse(message.body) as Record<string, object[]>;
    body[list] = many.map((one) => ({ ...body[list]![0], ...id(one) }));
    return { ...message, body: JSON.stringify(body) };
  };
  const tables = many.map((_, index) => 2n ** 62n + BigInt(index));
  return [
    lists(world.status(from, d(900), 1n, ComponentState.Working), "statuses", (ID) => ({ ID })),
    lists(world.waiting(from, [d(900)], ddl(700n), event), "blockStatuses", (ID) => ({
      dispatcherIDs: [ID],
    })),
    world.waiting(from, [d(1)], ddl(800n), {
      BlockTables: normal(...tables, ...tables.map((id) => id * 2n)),
    }),
  ];
}

/** The barrier goes its way to the end, and a sweep finds nothing amiss anywhere. */
async function finish(world: World): Promise<void> {
  expect(await world.phase(key)).toBe("writing");
  const told = [n1, n2].flatMap((one) => world.told(one)).filter((one) => one.kind === "write");
  expect(new Set(told.flatMap((one) => one.ids)).size).toBe(1);
  const [writer] = told[0]!.ids;
  const host = writer === d(10) ? n1 : n2;
  await world.handle(world.done(host, [writer!], key, "write"));
  await world.handle(world.done(n1, [d(10)], key, "pass"), world.done(n2, [d(21), d(22)], key, "pass"));
  expect(await world.phase(key)).toBeUndefined();
  world.now += 60_000;
  expect((await world.sweep()).failed).toEqual([]);
}

const STATUS_TYPES = [
  "BlockStatusRequest",
  "HeartBeatRequest",
  "MaintainerBootstrapResponse",
  "MaintainerPostBootstrapRequest",
] as const;

const written = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...STATUS_TYPES).chain((type) => anyMessage(type)) },
  anyVector(STATUS_TYPES),
  // A report that is right, until something happens to it.
  fc
    .record({
      ID: fc.record({ low: fc.constantFrom("1", "2", "3", "4") }),
      life: fc.constant("2"),
      state: fc.record({
        IsBlocked: fc.constant(true),
        BlockTs: fc.constantFrom("1", "2", "3"),
        stage: fc.constantFrom("WAITING", "DONE"),
        BlockTables: fc.constantFrom({}, { InfluenceType: "Normal", TableIDs: ["1", "2"] }),
      }),
    })
    .map((one) => ({
      type: "BlockStatusRequest" as const,
      encoding: "json" as const,
      body: JSON.stringify({ changefeedID: FUZZED, blockStatuses: [one] }),
    })),
);

/** Any message of any node, with what became of its body and attributes. */
const mutant = written.chain((one) =>
  fc.record({
    body: mutated(one),
    attributes: mutatedAttributes({
      type: one.type,
      from: "n9",
      encoding: one.encoding,
      replyQueue: "weir-action-n9",
      start: "7",
    }),
    sentAt: fc.nat(),
    receiveCount: fc.integer({ min: 1, max: 3 }),
    principal: fc.constantFrom("", "AROA1", "AROA2"),
  }),
);

describe("decoding", () => {
  it("gives a message or says what is wrong with the body, whatever comes", { timeout }, () => {
    const types = Object.keys(schemas) as MessageType[];
    const any = fc.oneof(
      fc.constantFrom(...types).chain((type) => anyMessage(type)),
      anyVector(types),
    );
    const bodies = any.chain((one) => fc.tuple(fc.constant(one), fc.oneof(mutated(one), fc.string())));
    let malformed = 0;
    fc.assert(
      fc.property(bodies, ([{ type, encoding }, body]) => {
        try {
          decode(type, encoding, body);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage);
          expect((error as Error).message).toContain(type);
          malformed++;
        }
      }),
      { numRuns: RUNS * 5, seed },
    );
    expect(malformed).toBeGreaterThan(RUNS / 2);
  });
});

describe("the maintainer", () => {
  it.each(FAULTY.map((make) => [String(make(new World()).reason), make] as const))(
    "keeps what is wrong: %s",
    async (_, make) => {
      const world = await opened();
      const { message, reason } = make(world);
      const [first, ...others] = good(world);
      const result = await world.handle(first!, message, ...others);
      expect(result.failed).toEqual([]);
      expect(world.deadLetters).toHaveLength(1);
      expect(world.deadLetters[0]!.reason).toMatch(reason);
      expect(world.deadLetters[0]!.body).toBe(message.body);
      expect(world.deadLetters[0]!.attributes).toMatchObject(message.attributes);
      await finish(world);
    },
  );

  it("takes what is right of a message, and keeps it for what is wrong", async () => {
    const world = await opened();
    const { message, reason } = partlyRight(world, n1, d(10));
    const result = await world.handle(message, good(world)[1]!);
    expect(result.failed).toEqual([]);
    expect(world.deadLetters.map((letter) => letter.reason)).toEqual([expect.stringMatching(reason)]);
    await finish(world);
  });

  it("keeps a bad message again when its batch comes again, and serves the others all the same", async () => {
    const world = await opened();
    const { message } = FAULTY[0]!(world);
    const batch = [...good(world), message];
    await world.handle(...batch);
    await world.handle(...batch.map(again));
    expect(world.deadLetters).toHaveLength(2);
    await finish(world);
  });

  it("serves a barrier among messages of any kind, and loses none", { timeout }, async () => {
    let kept = 0;
    const meant = { opened: 0, dispatchers: 0, barriers: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(mutant, { minLength: 1, maxLength: 12 }),
        fc.array(anyFaulty, { maxLength: 3 }),
        fc.nat({ max: 8 }),
        async (mutants, makers, at) => {
          const world = await opened();
          const faulty = makers.map((make) => make(world));
          const strange = mutants.map((one, index): StatusMessage => ({ ...one, messageId: `x${index}` }));
          const [first, second] = good(world);
          const batch = [...strange, ...faulty.map((one) => one.message)];
          batch.splice(at % (batch.length + 1), 0, first!);
          const result = await world.handle(...batch);
          expect(result.failed).toEqual([]);
          // Some come again, alone, to an environment that remembers nothing.
          for (const one of strange) expect((await world.handleCold(again(one))).failed).toEqual([]);
          expect((await world.handle(second!)).failed).toEqual([]);
          for (const { message, reason } of faulty) {
            const letters = world.deadLetters.filter((letter) => letter.body === message.body);
            expect(letters.some((letter) => reason.test(letter.reason))).toBe(true);
          }
          for (const letter of world.deadLetters) expect(letter.reason.length).toBeGreaterThan(10);
          kept += world.deadLetters.length;
          for (const [space, root] of world.store.roots) {
            if (space.includes("orders")) continue;
            meant.opened += root.meta.partsExpected > 0 ? 1 : 0;
            meant.dispatchers += root.pointers.filter((one) => one.kind === "dispatchers").length;
          }
          for (const path of world.store.barriers.keys()) if (path.includes("fuzzed")) meant.barriers++;
          await finish(world);
        },
      ),
      { numRuns: RUNS, seed },
    );
    expect(kept).toBeGreaterThan(RUNS / 2);
    // Many of them are understood, and do something.
    for (const count of Object.values(meant)) expect(count).toBeGreaterThan(RUNS / 20);
  });

  it("deals with the batchmates of what is too much at once, where any queue refuses", {
    timeout,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1, 2),
        fc.nat({ max: 3_000 }),
        fc.constantFrom("n1", "n2", "n9"),
        fc.boolean(),
        fc.nat({ max: 4 }),
        async (kind, count, refusing, fold, at) => {
          const world = await opened();
          const n9 = { ...node("n9"), start: 7 };
          world.failingQueues.add(node(refusing).queue);
          if (fold) world.settings = { ...world.settings, sendsAtOnce: 1 };
          const hostile = bulk(world, n9, count + 1)[kind]!;
          const [first, second] = good(world);
          const batch = [first!, second!, world.waiting(n9, [d(1)], ddl(900n), { BlockTables: everybody })];
          batch.splice(at, 0, hostile);
          const { failed } = await world.handle(...batch);
          // Who is told something in the queue that refuses may come again, and nobody else.
          const own = { n1: [first!, second!], n2: [first!, second!], n9: [batch.at(-1)!] }[refusing]!;
          const others = batch.filter((message) => !own.includes(message));
          const names = failed.map((one) => one.messageId);
          expect(names.filter((name) => others.some((message) => message.messageId === name))).toEqual([]);
          // What refuses for a day makes no dead letter of a report that is right.
          let rest = batch.filter((message) => names.includes(message.messageId));
          for (let round = 0; round < 3 && rest.length > 0; round++) {
            world.now += 120_000;
            rest = rest.map(again);
            const again_ = await world.handle(...rest);
            rest = rest.filter((message) => again_.failed.some((one) => one.messageId === message.messageId));
          }
          expect(rest).toEqual([]);
          world.failingQueues.clear();
          world.now += 60_000;
          await world.sweep();
          await finish(world);
        },
      ),
      { numRuns: Math.max(10, RUNS / 10), seed },
    );
  });

  it("takes messages as large as a queue allows", { timeout: 60_000 }, async () => {
    const world = await opened();
    const many = Array.from({ length: 9_000 }, (_, index) => d(10_000 + index));
    const n9 = node("n9");
    const large = [
      world.message(n9, "BlockStatusRequest", "[".repeat(1_000_000)),
      world.message(n9, "BlockStatusRequest", `{"blockStatuses":[${"{},".repeat(250_000)}{}]}`),
      world.message(n9, "HeartBeatRequest", `{"x":"${"y".repeat(1_000_000)}"}`),
      world.message(n9, "MaintainerBootstrapResponse", "A".repeat(1_000_000), {
        encoding: "protobuf",
        replyQueue: n9.queue,
      }),
      world.waiting(n9, many, key, event),
      ...bulk(world, n9, 9_000),
    ];
    const [first, second] = good(world);
    const result = await world.handle(first!, ...large, second!);
    expect(result.failed).toEqual([]);
    for (const letter of world.deadLetters) expect(letter.reason.length).toBeLessThan(100_000);
    expect(world.deadLetters.map((letter) => letter.body.length).sort()).toEqual(
      [...large.slice(0, 4), large.at(-1)!].map((message) => message.body.length).sort(),
    );
    await finish(world);
  });
});
