import {
  CreateQueueCommand,
  DeleteQueueCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { buildApp } from "fauxqs";

/** SQS in this process, with what a test asks of it. */
export interface EmbeddedQueues {
  readonly client: SQSClient;
  readonly url: string;
  /** @returns the queue's URL */
  create(name: string, maximumMessageSize?: number): Promise<string>;
  remove(url: string): Promise<void>;
  /** All messages of a queue, each once. */
  drain(url: string): Promise<Message[]>;
  stop(): Promise<void>;
}

/** Starts fauxqs on 127.0.0.1 and a free port. */
export async function startEmbeddedQueues(): Promise<EmbeddedQueues> {
  const app = buildApp({ logger: false, defaultRegion: "us-east-1" });
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const client = new SQSClient({
    // With an endpoint of its own the client ignores the host of queue URLs, which only some resolvers know.
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
  });
  return {
    client,
    url,
    async create(name, maximumMessageSize) {
      const Attributes = maximumMessageSize && { MaximumMessageSize: String(maximumMessageSize) };
      const command = new CreateQueueCommand({ QueueName: name, ...(Attributes && { Attributes }) });
      return (await client.send(command)).QueueUrl!;
    },
    async remove(url) {
      await client.send(new DeleteQueueCommand({ QueueUrl: url }));
    },
    async drain(url) {
      const all: Message[] = [];
      for (;;) {
        const command = { QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"] };
        const { Messages = [] } = await client.send(new ReceiveMessageCommand(command));
        if (Messages.length === 0) return all;
        all.push(...Messages);
      }
    },
    async stop() {
      client.destroy();
      await app.close();
    },
  };
}
