import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { Roster } from "../../src/barrier/roster.ts";
import type { CaptureEvent } from "../../src/dispatcher/index.ts";
import type { BarrierItem } from "../../src/maintainer/base/port.ts";
import { spaceOf } from "../../src/maintainer/base/space.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { DynamoStore } from "../../src/storage/dynamodb/store.ts";
import { clientConfig, output, type Target } from "./target.ts";
import { until } from "./until.ts";
import type { World } from "./world.ts";

/** What the deployed coordinator has stored and kept, looked at from outside of it. */
export class Deployed {
  readonly target: Target;
  readonly sqs: SQSClient;
  readonly store: DynamoStore;
  readonly table: string;
  readonly statusQueueUrl: string;
  readonly deadLetterQueueUrl: string;
  readonly #dynamodb: DynamoDBClient;

  constructor(target: Target) {
    this.target = target;
    this.sqs = new SQSClient(clientConfig(target.endpoint));
    this.#dynamodb = new DynamoDBClient(clientConfig(target.endpoint));
    this.table = output(target, "TableName");
    this.store = new DynamoStore(this.#dynamodb, { table: this.table });
    this.statusQueueUrl = output(target, "StatusQueueUrl");
    this.deadLetterQueueUrl = output(target, "DeadLetterQueueUrl");
  }

  /** The roster as it is stored now. */
  async roster(world: World): Promise<Roster> {
    const space = spaceOf(world.changefeed, 0n);
    const root = await this.store.readRoot(space);
    if (root === undefined) throw new Error(`changefeed ${space.text} has no root`);
    const chunks = await this.store.readChunks(space, root.pointers);
    return new Roster(
      root.rosterVersion,
      root.meta,
      chunks.filter((chunk) => chunk !== undefined),
    );
  }

  /** The phase of an event's barrier; undefined if it is not open. */
  async phaseOf(world: World, event: CaptureEvent): Promise<string | undefined> {
    const root = await this.store.readRoot(spaceOf(world.changefeed, 0n));
    return root?.steps.get(keyText(event.key))?.phase;
  }

  /** Waits until an event's barrier is a tombstone. */
  closed(world: World, event: CaptureEvent): Promise<NonNullable<BarrierItem["tombstone"]>> {
    const key = keyText(event.key);
    const space = spaceOf(world.changefeed, 0n);
    return until(`barrier ${key} of ${world.changefeed.name} to be closed`, async () => {
      const item = await this.store.readBarrier({ space, epoch: 1n, key });
      return item?.tombstone;
    });
  }

  /** Messages in a queue: those that wait, and those that somebody has received and not deleted. */
  async depth(url: string): Promise<{ waiting: number; inFlight: number }> {
    const { Attributes = {} } = await this.sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: url,
        AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
      }),
    );
    return {
      waiting: Number(Attributes["ApproximateNumberOfMessages"]),
      inFlight: Number(Attributes["ApproximateNumberOfMessagesNotVisible"]),
    };
  }

  /**
   * All messages in a queue, waiting or in flight. The two are counted one after the other, so one that changes from the one to
   * the other meanwhile counts twice or not at all: the answer is what two counts in a row agree on.
   */
  async settledDepth(url: string): Promise<number> {
    let last: number | undefined;
    return until("two equal counts of a queue", async () => {
      const { waiting, inFlight } = await this.depth(url);
      const before = last;
      last = waiting + inFlight;
      return before === last && { count: last };
    }).then(({ count }) => count);
  }

  async arnOf(url: string): Promise<string> {
    const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["QueueArn"] });
    return (await this.sqs.send(command)).Attributes!["QueueArn"]!;
  }

  /** Waits for a message. It comes again if it is not removed. */
  async receive(url: string, what: string): Promise<{ message: Message; remove(): Promise<void> }> {
    const message = await until(what, async () => {
      const { Messages = [] } = await this.sqs.send(
        new ReceiveMessageCommand({ QueueUrl: url, MessageAttributeNames: ["All"], WaitTimeSeconds: 1 }),
      );
      return Messages[0];
    });
    const handle = { QueueUrl: url, ReceiptHandle: message.ReceiptHandle! };
    return { message, remove: async () => void (await this.sqs.send(new DeleteMessageCommand(handle))) };
  }

  /** @param sqs the client of who sends it; default: of this account */
  async send(
    url: string,
    body: string,
    attributes: Readonly<Record<string, string>>,
    sqs = this.sqs,
  ): Promise<void> {
    await sqs.send(
      new SendMessageCommand({
        QueueUrl: url,
        MessageBody: body,
        MessageAttributes: Object.fromEntries(
          Object.entries(attributes).map(([name, value]) => [
            name,
            { DataType: "String", StringValue: value },
          ]),
        ),
      }),
    );
  }

  close(): void {
    this.sqs.destroy();
    this.#dynamodb.destroy();
  }
}

/** The attributes of a message as texts. */
export function attributesOf(message: Message): Record<string, string> {
  return Object.fromEntries(
    Object.entries(message.MessageAttributes ?? {}).map(([name, { StringValue = "" }]) => [
      name,
      StringValue,
    ]),
  );
}
