import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
  type SQSClientConfig,
} from "@aws-sdk/client-sqs";
import { WeirError } from "../error/weir-error.ts";
import { Connections } from "../messaging/connections.ts";
import { MessageRefused, NoAnswer, QueueGone } from "./errors.ts";
import type { QueueClient, QueueMessage, ReceivedMessage } from "./ports.ts";
import { differences, queueAttributes } from "./queue-policy.ts";

/** SQS refuses the name of a queue for 60 s after it was deleted: a dispatcher that goes and comes back waits so long. */
const RECREATE_EVERY_MS = 5_000;
const RECREATE_ATTEMPTS = 15;

/** ms for an answer that is not a long poll's. */
const ANSWER_MS = 10_000;
/** The longest that SQS lets a poll wait, and a margin for its answer. */
const LONGEST_POLL_MS = 20_000 + ANSWER_MS;

/** What the queues are that a node creates, and who is told of them. */
export interface SqsQueuesOptions {
  /** The deployment's key, for the queues that are created (the stack's output `EncryptionKeyArn`). Default: SQS's own (SSE-SQS). */
  readonly kmsKeyId?: string;
  /** Of the queues that are created. They need the right `sqs:TagQueue`; without it they are created without tags, and that is told. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Told of a queue that is used although it is not as it would be created, and of tags that are refused. Default: nobody is. */
  readonly onWarning?: (warning: Error) => void;
  /** ms between attempts to create a queue whose name SQS holds back. Default: 5,000. */
  readonly recreateEveryMs?: number;
}

/**
 * Queues on SQS. Each queue that is polled holds a connection for as long as its long poll lasts, and the SDK's default is 50
 * connections: with more queues than that, reports would wait for polls to end. So the client is made here, without a bound;
 * there are as many connections as queues that are waited for, and a few. The SDK's own default has no deadline, either: here
 * each request ends by itself. A node tries again what may be tried again, so the SDK does not.
 *
 * @example
 * ```ts
 * import { SqsQueues } from "@weir-cdc/weir";
 *
 * export const queues = new SqsQueues(
 *   { region: "eu-central-1" },
 *   { tags: { team: "orders" }, onWarning: (warning) => console.warn(warning.message) },
 * );
 * ```
 */
export class SqsQueues implements QueueClient {
  readonly #client: SQSClient;
  readonly #connections: Connections;
  readonly #options: SqsQueuesOptions;

  /** @param config of the SDK client: region, credentials, endpoint as needed */
  constructor(config: Omit<SQSClientConfig, "requestHandler"> = {}, options: SqsQueuesOptions = {}) {
    this.#options = options;
    this.#connections = new Connections({
      answerMs: ANSWER_MS,
      silenceMs: LONGEST_POLL_MS,
      connectMs: 5_000,
      maxSockets: Number.POSITIVE_INFINITY,
    });
    this.#client = new SQSClient({ maxAttempts: 1, ...config, requestHandler: this.#connections });
  }

  /** Closes the connections. */
  destroy(): void {
    this.#client.destroy();
  }

  /**
   * Creates a queue that is open to TLS only and encrypted, or takes the one that is there, if nobody else is let in.
   * @throws UnsafeQueue if others are
   */
  async createQueue(name: string, signal?: AbortSignal): Promise<string> {
    const url = await this.#patiently(isRecentlyDeleted, signal, () => this.#createOrFind(name, signal));
    const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] });
    // A new queue is not known everywhere within its first second.
    const { Attributes } = await this.#patiently(
      (error) => error instanceof QueueGone,
      signal,
      () => this.#ask(signal, (options) => this.#client.send(command, options)),
    ).catch((error: Error) => {
      if (!DENIED.test(error.name)) throw error;
      throw new WeirError(
        "queue-settings",
        `whether others can read or send to queue ${name} is not known: the node's role needs sqs:GetQueueAttributes on it, which the stack's policies for capture nodes have since they were updated`,
        { cause: error },
      );
    });
    for (const one of differences(name, Attributes ?? {}, this.#options.kmsKeyId))
      this.#options.onWarning?.(
        new WeirError("queue-settings", `queue ${name} was there already, and is used as it is: ${one}`),
      );
    return url;
  }

  async #createOrFind(name: string, signal: AbortSignal | undefined, tagged = true): Promise<string> {
    const { kmsKeyId, tags, onWarning } = this.#options;
    const create = new CreateQueueCommand({
      QueueName: name,
      Attributes: queueAttributes(kmsKeyId),
      ...(tagged && tags && { tags: { ...tags } }),
    });
    try {
      return (await this.#ask(signal, (options) => this.#client.send(create, options))).QueueUrl!;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (tagged && tags && DENIED.test(error.name)) {
        const url = await this.#createOrFind(name, signal, false);
        onWarning?.(
          new WeirError("queue-settings", `queue ${name} has no tags: the node's role needs sqs:TagQueue`, {
            cause: error,
          }),
        );
        return url;
      }
      // It is there with other attributes: what they are is looked at.
      if (!EXISTS.test(error.name)) throw error;
      const find = new GetQueueUrlCommand({ QueueName: name });
      return (await this.#ask(signal, (options) => this.#client.send(find, options))).QueueUrl!;
    }
  }

  /** Asks again what SQS answers with such an error for a while. */
  async #patiently<T>(
    passes: (error: unknown) => boolean,
    signal: AbortSignal | undefined,
    ask: () => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        if (!passes(error) || attempt === RECREATE_ATTEMPTS) throw error;
        await new Promise((resolve) =>
          setTimeout(resolve, this.#options.recreateEveryMs ?? RECREATE_EVERY_MS),
        );
        signal?.throwIfAborted();
      }
    }
  }

  async deleteQueue(url: string, signal?: AbortSignal): Promise<void> {
    const command = new DeleteQueueCommand({ QueueUrl: url });
    await this.#ask(signal, (options) => this.#client.send(command, options)).catch((error) => {
      // Somebody else was faster.
      if (!(error instanceof QueueGone)) throw error;
    });
  }

  async send(url: string, message: QueueMessage, signal?: AbortSignal): Promise<void> {
    const command = new SendMessageCommand({
      QueueUrl: url,
      MessageBody: message.body,
      MessageAttributes: Object.fromEntries(
        Object.entries(message.attributes).map(([name, value]) => [
          name,
          { DataType: "String", StringValue: value },
        ]),
      ),
    });
    await this.#ask(signal, (options) => this.#client.send(command, options)).catch((error: Error) => {
      if (!REFUSED.test(error.name)) throw error;
      throw new MessageRefused(`queue ${url} refuses a message: ${error.message}`, { cause: error });
    });
  }

  async receive(url: string, waitSeconds: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: waitSeconds,
      MessageAttributeNames: ["All"],
      MessageSystemAttributeNames: ["SenderId"],
    });
    const requestTimeout = waitSeconds * 1_000 + ANSWER_MS;
    const answer = await this.#ask(signal, (options) =>
      this.#client.send(command, { ...options, requestTimeout }),
    );
    return (answer.Messages ?? []).map((message) => ({
      body: message.Body ?? "",
      receipt: message.ReceiptHandle!,
      sender: (message.Attributes?.SenderId ?? "").split(":")[0]!,
      attributes: Object.fromEntries(
        Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [
          name,
          value.StringValue ?? "",
        ]),
      ),
    }));
  }

  async delete(url: string, receipts: readonly string[], signal?: AbortSignal): Promise<void> {
    const Entries = receipts.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));
    const command = new DeleteMessageBatchCommand({ QueueUrl: url, Entries });
    await this.#ask(signal, (options) => this.#client.send(command, options));
  }

  async extend(
    url: string,
    receipts: readonly string[],
    seconds: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const Entries = receipts.map((ReceiptHandle, index) => ({
      Id: String(index),
      ReceiptHandle,
      VisibilityTimeout: seconds,
    }));
    const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries });
    const { Failed = [] } = await this.#ask(signal, (options) => this.#client.send(command, options));
    const [first] = Failed;
    if (first === undefined) return;
    throw new WeirError(
      "not-extended",
      `${Failed.length} of ${receipts.length} messages of queue ${url} are not extended and may come again: ${first.Code}: ${first.Message}`,
    );
  }

  async #ask<T>(
    signal: AbortSignal | undefined,
    request: (options: { abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      return await request(signal ? { abortSignal: signal } : {});
    } catch (error) {
      // Who had no answer does not ask again over a connection that may be as silent.
      if (signal?.reason instanceof NoAnswer) this.#connections.renew();
      if (!(error instanceof Error)) throw error;
      if (GONE.test(error.name)) throw new QueueGone(error.message, { cause: error });
      throw error;
    }
  }
}

const GONE = /QueueDoesNotExist|NonExistentQueue/;
/** There is a queue of this name with other attributes. */
const EXISTS = /QueueNameExists|QueueAlreadyExists/;
const DENIED = /AccessDenied/;
/** What SQS says of a message that is too large, or holds characters that none may. */
const REFUSED = /^(InvalidParameterValue|InvalidMessageContents|BatchRequestTooLong)/;

function isRecentlyDeleted(error: unknown): boolean {
  return error instanceof Error && /QueueDeletedRecently/.test(error.name);
}
