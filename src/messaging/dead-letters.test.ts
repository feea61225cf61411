import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Sender } from "./actions.ts";
import { allowed, cutTo, MAX_MESSAGE_BYTES, SAFE_MESSAGE_BYTES, sizeOf } from "./limits.ts";
import { type EmbeddedQueues, startEmbeddedQueues } from "./testing/queues.ts";

let queues: EmbeddedQueues;
let url: string;
let number = 0;

beforeAll(async () => {
  queues = await startEmbeddedQueues();
});
afterAll(() => queues.stop());
beforeEach(async () => {
  url = await queues.create(`dead-${number++}`);
});

async function kept(body: string, attributes: Record<string, string>, reason: string) {
  const sender = new Sender(queues.client, { actionQueuePrefix: "weir-", deadLetterQueueUrl: url });
  await sender.deadLetter({ body, attributes, reason });
  const messages = await queues.drain(url);
  expect(messages).toHaveLength(1);
  const { Body = "", MessageAttributes = {} } = messages[0]!;
  expect(sizeOf(Body, MessageAttributes)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
  const values = Object.entries(MessageAttributes).map(([name, value]) => [name, value.StringValue]);
  return { body: Body, attributes: Object.fromEntries(values) as Record<string, string> };
}

describe("deadLetter", () => {
  it("keeps body and attributes as they were, with the reason", async () => {
    const attributes = { type: "HeartBeatRequest", from: "n1", encoding: "json", start: "17" };
    expect(await kept("{ nonsense", attributes, "it is not JSON")).toEqual({
      body: "{ nonsense",
      attributes: { ...attributes, reason: "it is not JSON" },
    });
  });

  it("makes room for the reason among ten attributes, at the cost of what no replay needs", async () => {
    const foreign = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`a${index}`, "x"]));
    const ours = { type: "t", from: "n", encoding: "json", start: "1", parts: "2", part: "1" };
    const { attributes } = await kept(
      "{}",
      { reason: "an older one", ...foreign, empty: "", ...ours },
      "new",
    );
    expect(attributes).toMatchObject({ ...ours, reason: "new" });
    expect(Object.keys(attributes)).toHaveLength(10);
  });

  it("keeps a message of a megabyte whole but for what the reason takes, where the queue takes it", async () => {
    const { body } = await kept("x".repeat(MAX_MESSAGE_BYTES - 100), { type: "t" }, "r");
    expect(body).toHaveLength(MAX_MESSAGE_BYTES - 100);
    url = await queues.create(`dead-${number++}`);
    const cut = await kept("ä".repeat(MAX_MESSAGE_BYTES / 2), { type: "t" }, "too many tables");
    expect(cut.attributes["reason"]).toBe(
      "too many tables (its body of 1048576 bytes is cut here: the queue holds no more)",
    );
    expect(Buffer.byteLength(cut.body)).toBeGreaterThan(MAX_MESSAGE_BYTES - 200);
    expect(cut.body).toMatch(/^ä+$/);
  });

  it("cuts to the limit of a queue that takes less", async () => {
    url = await queues.create(`dead-${number++}`, SAFE_MESSAGE_BYTES);
    const { body, attributes } = await kept("x".repeat(SAFE_MESSAGE_BYTES), {}, "r");
    expect(sizeOf(body, {})).toBeGreaterThan(SAFE_MESSAGE_BYTES - 200);
    expect(attributes["reason"]).toContain("its body of 262144 bytes is cut here");
  });

  it("replaces what SQS does not take", async () => {
    const letter = await kept("", { from: "n\u00001" }, `bad \u0007 byte${"!".repeat(5000)}`);
    expect(letter.body).toBe(" ");
    expect(letter.attributes["from"]).toBe("n 1");
    expect(letter.attributes["reason"]).toHaveLength(2000);
    expect(letter.attributes["reason"]).toMatch(/^bad {3}byte!+$/);
    url = await queues.create(`dead-${number++}`);
    expect((await kept("{}", {}, "")).attributes["reason"]).toBe("no reason given");
  });

  it("fails where it is not kept", async () => {
    await queues.remove(url);
    await expect(kept("{}", {}, "r")).rejects.toThrow();
  });
});

describe("limits", () => {
  it("cuts between characters", () => {
    expect(cutTo("aäb", 3)).toBe("aä");
    expect(cutTo("aäb", 2)).toBe("a");
    expect(cutTo("😀", 3)).toBe("");
    expect(cutTo("abc", 3)).toBe("abc");
    expect(cutTo("abc", -1)).toBe("");
  });

  it("keeps all that SQS allows, pairs too, and nothing else", () => {
    expect(allowed("\t\n\r ~ä漢😀")).toBe("\t\n\r ~ä漢😀");
    expect(allowed("\u0000\u001f\ud800x\ufffe\uffff")).toBe("   x  ");
  });
});
