import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import dynalite from "dynalite";
import { buildApp } from "fauxqs";
import type { Chaos } from "./chaos.ts";
import type { Asked } from "./permissions.ts";

/** The name by which a guard is asked about the one table. */
export const TABLE = "table";

/** Requests by operation, apart by who made them: the functions, or anybody else. */
export interface RequestCounts {
  readonly functions: Record<string, number>;
  readonly others: Record<string, number>;
}

export interface Engine {
  readonly url: string;
  readonly counts: RequestCounts;
  stop(): Promise<void>;
}

/** What the functions put into their user agent, before their id, so that their requests can be told from others. */
export const FUNCTION_APP_ID = "weir-function-";

/** Why a function may not do what it asks for; undefined: it may. Others are not asked about. */
export type Guard = (asked: Asked) => string | undefined;

/** The function that made a request; undefined: somebody else did. */
function functionOf(headers: IncomingMessage["headers"]): string | undefined {
  return new RegExp(`${FUNCTION_APP_ID}(\\w+)`).exec(String(headers["user-agent"]))?.[1];
}

const operationOf = (headers: IncomingMessage["headers"]) =>
  String(headers["x-amz-target"] ?? "other").replace(/^.*\./, "");

function counter(): { counts: RequestCounts; count(headers: IncomingMessage["headers"]): void } {
  const counts: RequestCounts = { functions: {}, others: {} };
  return {
    counts,
    count(headers) {
      const operation = operationOf(headers);
      const by = functionOf(headers) === undefined ? counts.others : counts.functions;
      by[operation] = (by[operation] ?? 0) + 1;
    },
  };
}

/** DynamoDB's interface on 127.0.0.1, in memory. It holds one table, which the guard knows as `TABLE`. */
export async function startDynamo(port = 0, guard?: Guard): Promise<Engine> {
  const server: Server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  const { counts, count } = counter();
  const [answer] = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    const { headers } = request;
    count(headers);
    const functionId = functionOf(headers);
    const action = `dynamodb:${operationOf(headers)}`;
    const refused = functionId && guard?.({ functionId, action, resource: TABLE });
    if (!refused) return void answer!(request, response);
    const __type = "com.amazon.coral.service#AccessDeniedException";
    response.writeHead(400, { "content-type": "application/x-amz-json-1.0" });
    response.end(JSON.stringify({ __type, message: refused }));
  });
  server.on("connection", (socket) => socket.setNoDelay(true));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/**
 * Queue URLs are host names that only some resolvers know (sqs.us-east-1.localhost), unless the store has no host name:
 * then they are those of the address that was asked. The package does not export the store, so it is loaded by its file.
 */
async function storesWithoutHostNames() {
  const file = new URL("./sqs/sqsStore.js", import.meta.resolve("fauxqs")).href;
  const { SqsStore } = (await import(file)) as { SqsStore: new () => { host: string } };
  const sqsStore = new SqsStore();
  sqsStore.host = "";
  return { sqsStore } as unknown as NonNullable<NonNullable<Parameters<typeof buildApp>[0]>["stores"]>;
}

/** SQS's interface on 127.0.0.1, in memory. Its own starter would listen on all interfaces. */
export async function startSqs(port = 0, chaos?: Chaos, guard?: Guard): Promise<Engine> {
  const app = buildApp({ logger: false, defaultRegion: "us-east-1", stores: await storesWithoutHostNames() });
  const { counts, count } = counter();
  app.addHook("onRequest", async (request) => count(request.headers));
  app.addHook("preHandler", async ({ headers, body }, reply) => {
    const functionId = functionOf(headers);
    if (functionId === undefined) return;
    const { QueueUrl = "", QueueName = "" } = body as { QueueUrl?: string; QueueName?: string };
    const resource = QueueName || QueueUrl.split("/").at(-1)!;
    // The rights for a batch are those for one message.
    const action = `sqs:${operationOf(headers).replace(/Batch$/, "")}`;
    const refused = guard?.({ functionId, action, resource });
    if (refused)
      await reply.code(403).send({ __type: "com.amazonaws.sqs#AccessDeniedException", message: refused });
  });
  chaos?.disturbQueues(app);
  try {
    const url = await app.listen({ port, host: "127.0.0.1" });
    return { url, counts, stop: () => app.close() };
  } catch (error) {
    // What was begun for it would keep the process alive.
    await app.close();
    throw error;
  }
}
