import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import dynalite from "dynalite";
import { buildApp } from "fauxqs";
import type { Chaos } from "./chaos.ts";

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

/** What the functions put into their user agent, so that their requests can be told from others. */
export const FUNCTION_APP_ID = "weir-function";

function counter(): { counts: RequestCounts; count(headers: IncomingMessage["headers"]): void } {
  const counts: RequestCounts = { functions: {}, others: {} };
  return {
    counts,
    count(headers) {
      const operation = String(headers["x-amz-target"] ?? "other").replace(/^.*\./, "");
      const by = String(headers["user-agent"]).includes(FUNCTION_APP_ID) ? counts.functions : counts.others;
      by[operation] = (by[operation] ?? 0) + 1;
    },
  };
}

/** DynamoDB's interface on 127.0.0.1, in memory. */
export async function startDynamo(port = 0): Promise<Engine> {
  const server: Server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  const { counts, count } = counter();
  server.on("request", (request) => count(request.headers));
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
export async function startSqs(port = 0, chaos?: Chaos): Promise<Engine> {
  const app = buildApp({ logger: false, defaultRegion: "us-east-1", stores: await storesWithoutHostNames() });
  const { counts, count } = counter();
  app.addHook("onRequest", async (request) => count(request.headers));
  chaos?.disturbQueues(app);
  const url = await app.listen({ port, host: "127.0.0.1" });
  return { url, counts, stop: () => app.close() };
}
