/** Whoever may send to the status queue may not speak for others: refused, kept with the reason, and counted (protocol.md R7). */
import { beforeEach, describe, expect, it } from "vitest";
import { ComponentState } from "../../protocol/messages.ts";
import { measure } from "../base/metrics.ts";
import { run } from "../base/program.ts";
import { statusMessage } from "../lambda.ts";
import { unbind } from "../operator/unbind.ts";
import { d, ddl, node, normal, oldNode, type TestNode, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const n3 = node("n3");
const T = d(1);
const K = ddl(100n);
const state = { BlockTables: normal(10n) };
const as = (principal: string, message: ReturnType<World["waiting"]>) => ({ ...message, principal });

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    as("AROA1", world.opening(n1, T, [{ id: 10n, schema: 1n }])),
    as("AROA1", world.registration(n1, [{ id: T, table: 0n }])),
    as("AROA2", world.registration(n2, [{ id: d(10), table: 10n }])),
    as("AROA3", world.registration(n3, [])),
  );
});

async function refused(...messages: ReturnType<World["waiting"]>[]) {
  const before = world.store.clone();
  const { failed, observer } = await world.handle(...messages);
  expect(failed).toEqual([]);
  expect(world.store.roots).toEqual(before.roots);
  expect(world.store.kept.size).toBe(0);
  const counts = Object.fromEntries(measure(observer.seen).map(({ name, value }) => [name, value]));
  expect(counts["SenderMismatches"]).toBe(messages.length);
  expect(counts["RejectedMessages"]).toBe(messages.length);
  return world.deadLetters.splice(0).map((letter) => letter.reason);
}

describe("a principal that speaks as a node of another one", () => {
  it("is what stands before the colon in SenderId: sessions of one role are one principal", () => {
    const attributes = { SentTimestamp: "1", ApproximateReceiveCount: "1", SenderId: "AROA1:session-7" };
    const record = { messageId: "m", body: "", attributes, messageAttributes: {} };
    expect(statusMessage(record as never).principal).toBe("AROA1");
  });

  it("neither reports, registers, opens again, nor takes dispatchers out", async () => {
    const reasons = await refused(
      as("AROA3", world.waiting(n2, [d(10)], K, state)),
      as("AROA3", world.registration(n2, [{ id: d(11), table: 11n }])),
      as("AROA3", world.opening(n1, T, [{ id: 99n, schema: 1n }])),
      as("AROA3", world.status(n2, d(10), 1n, ComponentState.Removed)),
    );
    expect(reasons).toHaveLength(4);
    for (const reason of reasons)
      expect(reason).toMatch(/sender AROA3 may not speak as node "n[12]", which AROA[12]/);
  });

  it("is refused at once, with a life that nobody knows or a start that is over too", async () => {
    const unknown = as("AROA3", world.waiting(n2, [{ id: d(10), life: 9n }], K, state));
    const restarted: TestNode = { ...n2, start: 5 };
    await world.handle(as("AROA2", world.registration(restarted, [{ id: d(10), table: 10n, life: 2n }])));
    const before = as("AROA3", world.waiting(n2, [d(10)], K, state));
    expect(await refused(unknown, before)).toHaveLength(2);
  });
});

describe("a node that speaks for dispatchers of another one", () => {
  it("does not report for them", async () => {
    const [reason] = await refused(as("AROA3", world.waiting(n3, [d(10)], K, state)));
    expect(reason).toBe(`dispatcher ${d(10)} is hosted by another node than "n3"`);
  });

  it("does not say DONE for a writer whose life has ended, which its own node still may", async () => {
    await world.handle(as("AROA2", world.waiting(n2, [d(10)], K, state)));
    expect(await world.phase(K)).toBe("writing");
    const again = { ...n2, start: 5 };
    await world.handle(as("AROA2", world.registration(again, [{ id: d(10), table: 10n, life: 2n }])));
    const reasons = await refused(
      as("AROA3", world.done(n3, [d(10)], K, "write")),
      as("AROA3", world.done(again, [d(10)], K, "write")),
    );
    expect(reasons).toEqual([
      `dispatcher ${d(10)} is hosted by another node than "n3"`,
      expect.stringMatching(/sender AROA3 may not speak as node "n2"/),
    ]);
    expect(await world.phase(K)).toBe("writing");
    await world.handle(as("AROA2", world.done(again, [d(10)], K, "write")));
    expect(await world.phase(K)).toBe("passing");
  });
});

describe("a report that was kept for a life that is not known yet", () => {
  it("is put aside with the reason when another principal registers that life", async () => {
    const n4 = node("n4");
    await world.handle(as("AROA9", world.waiting(n4, [{ id: d(40), life: 1n }], K, state)));
    expect(world.store.kept.size).toBe(1);
    const { observer } = await world.handle(as("AROA4", world.registration(n4, [{ id: d(40), table: 10n }])));
    expect(world.store.kept.size).toBe(0);
    expect(world.deadLetters).toMatchObject([
      {
        reason: expect.stringMatching(/sender AROA9 may not speak as node "n4", which AROA4 registered/),
        attributes: {
          type: "BlockStatusRequest",
          from: "n4",
          encoding: "protobuf",
          sentAt: String(world.now),
        },
      },
    ]);
    expect(measure(observer.seen)).toEqual(
      expect.arrayContaining([
        { name: "SenderMismatches", value: 1 },
        { name: "RejectedMessages", value: 1 },
      ]),
    );
    expect(await world.phase(K)).toBeUndefined();
  });
});

describe("a dead letter that is brought back (decisions/0016)", () => {
  const redriver = "AROAREDRIVER";
  const broken = (principal: string, attributes: Record<string, string> = {}) => {
    const good = world.waiting(n2, [d(10)], K, state);
    return {
      good,
      bad: as(principal, { ...good, body: "{", attributes: { ...good.attributes, ...attributes } }),
    };
  };
  beforeEach(() => {
    world.settings = { ...world.settings, redrivers: [redriver] };
  });
  const brought = (by: string, body: string) => {
    const letter = world.deadLetters.splice(0)[0]!;
    return as(by, { ...world.waiting(n2, [d(10)], K, state), body, attributes: { ...letter.attributes } });
  };

  it("counts as its first sender's, mended or not, as often as it takes", async () => {
    const { good, bad } = broken("AROA2");
    await world.handle(bad);
    expect(world.deadLetters[0]!.attributes["sender"]).toBe("AROA2");
    await world.handle(brought(redriver, "{"));
    expect(world.deadLetters[0]!.attributes["sender"]).toBe("AROA2");
    await world.handle(brought(redriver, good.body));
    expect(world.deadLetters).toEqual([]);
    expect(await world.phase(K)).toBe("writing");
  });

  it("of a stranger is refused again", async () => {
    await world.handle(as("AROA3", world.waiting(n2, [d(10)], K, state)));
    const { good } = broken("AROA3");
    await world.handle(brought(redriver, good.body));
    expect(world.deadLetters[0]!.reason).toMatch(/AROA3 may not speak as node "n2"/);
    expect(await world.phase(K)).toBeUndefined();
  });

  it("is refused of anybody else, and nobody puts another's name on what is put aside", async () => {
    const { good, bad } = broken("AROA3", { sender: "AROA2" });
    for (const message of [bad, as("AROA3", { ...good, attributes: bad.attributes })]) {
      await world.handle(message);
      expect(world.deadLetters[0]!.reason).toMatch(/only the coordinator writes it/);
      expect(world.deadLetters[0]!.attributes["sender"]).toBe("AROA3");
      await world.handle(brought(redriver, good.body));
      expect(world.deadLetters.splice(0)[0]!.reason).toMatch(/AROA3 may not speak/);
    }
    expect(await world.phase(K)).toBeUndefined();
  });

  it("says when it was sent first, which is nobody else's to say, also not by way of the dead letters", async () => {
    const message = world.waiting(n2, [d(10)], K, state);
    const forged = { ...message, attributes: { ...message.attributes, sentAt: "9007199254740991" } };
    await world.handle(as("AROA2", forged));
    const [letter] = world.deadLetters;
    expect(letter!.reason).toMatch(/attribute sentAt is there: only who brings messages back/);
    expect(letter!.attributes["sentAt"]).toBe(String(message.sentAt));
    await world.handle(brought(redriver, message.body));
    expect(world.deadLetters).toEqual([]);
    expect(await world.phase(K)).toBe("writing");
  });

  it("says when it was sent first only with whose it is: a time without a sender is refused", async () => {
    const old = oldNode("o1");
    const message = world.registration(old, [{ id: d(50), table: 10n }]);
    const at = String(world.now - 5);
    const timed = (attributes: Record<string, string>) =>
      as(redriver, { ...message, attributes: { ...message.attributes, sentAt: at, ...attributes } });
    await world.handle(timed({}));
    const [letter] = world.deadLetters.splice(0);
    expect(letter!.reason).toBe(
      `attribute sentAt is there and sender is not: name there the principal that sent the message at that time, ${redriver} if you did`,
    );
    expect([...world.memory.spaces.values()][0]!.roster!.nodes.has("o1")).toBe(false);
    expect(letter!.attributes).toMatchObject({ sentAt: at });
    // Brought back as it lies there it is refused as before.
    await world.handle(as(redriver, { ...message, attributes: { ...letter!.attributes } }));
    expect(world.deadLetters.splice(0)[0]!.reason).toBe(letter!.reason);
    await world.handle(timed({ sender: "AROA5" }));
    expect(world.deadLetters).toEqual([]);
    const life = [...world.memory.spaces.values()][0]!.roster!.find(d(50))?.life;
    expect(life?.life).toBe(BigInt(at));
  });

  it("that the queue itself took for dead binds its node to nobody: the redriver is not who sent it", async () => {
    const n5 = node("n5");
    const message = world.registration(n5, [{ id: d(50), table: 50n }]);
    await world.handle(as(redriver, message));
    await world.handle(as("AROA5", world.registration(n5, [{ id: d(51), table: 51n }])));
    expect(world.deadLetters).toEqual([]);
    await refused(as("AROA3", world.registration(n5, [{ id: d(52), table: 52n }])));
  });

  it("says when it was sent first where queues name no sender, so that nobody can be told apart", async () => {
    const late = world.waiting(n2, [d(10)], K, state);
    await world.handle({ ...late, attributes: { ...late.attributes, sentAt: String(world.now - 5) } });
    expect(world.deadLetters).toEqual([]);
  });
});

describe("a node that an operator frees from its principal (R7)", () => {
  const spaceOf = async () => (await world.store.listSpaces())[0]!;
  const free = async (to: string) => run(unbind(await spaceOf(), "n2", to, world.invocation()), world.port);
  const speaks = async (principal: string) => {
    world.deadLetters.length = 0;
    await world.handleCold(as(principal, world.registration(n2, [{ id: d(10), table: 10n }])));
    return world.deadLetters.length === 0;
  };

  it("is bound by its next registration", async () => {
    expect(await speaks("AROA3")).toBe(false);
    expect(await free("")).toBe("AROA2");
    expect([await speaks("AROA3"), await speaks("AROA2")]).toEqual([true, false]);
  });

  it("is bound to whom the operator names, whoever registers first", async () => {
    expect(await free("AROA3")).toBe("AROA2");
    expect([await speaks("AROA2"), await speaks("AROA3")]).toEqual([false, true]);
    expect(await free("AROA3")).toBe("AROA3");
  });

  it("is not freed on a roster that has changed meanwhile", async () => {
    let others = 0;
    const port = world.hookedPort(async (when, method) => {
      if (when === "before" && method === "commitRoot" && others++ === 0)
        await world.handleCold(world.registration(n1, [{ id: d(77), table: 77n }]));
    });
    const freed = await run(unbind(await spaceOf(), "n2", "", world.invocation()), port);
    expect(freed).toBe("AROA2");
    expect(others).toBe(2);
    expect(await speaks("AROA3")).toBe(true);
  });

  it("has to be there", async () => {
    expect(await run(unbind(await spaceOf(), "n9", "", world.invocation()), world.port)).toBeUndefined();
  });
});
