import { buildApp } from "fauxqs";

export interface S3Server {
  readonly url: string;
  /** Connections that were ever opened. */
  readonly connections: () => number;
  /** Requests from here on whose answer is lost, though they are done: so many. */
  loseAnswers(count: number): void;
  stop(): Promise<void>;
}

/**
 * S3 on 127.0.0.1: fauxqs, and before it the conditions of writes, which it does not know (as AWS documents them: 412 where one does not hold,
 * 404 with If-Match where nothing is).
 */
export async function startS3(...buckets: readonly string[]): Promise<S3Server> {
  const app = buildApp({ logger: false });
  let opened = 0;
  let lost = 0;
  const turns = new Map<string, Promise<void>>();
  const release = new WeakMap<object, () => void>();
  app.server.on("connection", () => opened++);
  app.addHook("preHandler", async (request, reply) => {
    if (request.method !== "PUT") return;
    const inside = request.headers["user-agent"] === undefined || request.headers["x-inside"] !== undefined;
    if (inside) return;
    // One write of a path at a time: looking and writing are one step.
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = turns.get(request.url);
    turns.set(request.url, promise);
    release.set(request, resolve);
    await before;
    const none = request.headers["if-none-match"];
    const match = request.headers["if-match"];
    if (none === undefined && match === undefined) return;
    const there = await app.inject({ method: "HEAD", url: request.url });
    const exists = there.statusCode === 200;
    const holds = none === "*" ? !exists : exists && there.headers["etag"] === match;
    if (holds) return;
    const code = !exists ? "NoSuchKey" : "PreconditionFailed";
    reply.header("content-type", "application/xml");
    return reply.code(exists ? 412 : 404).send(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
  });
  app.addHook("onSend", async (request, reply, payload) => {
    release.get(request)?.();
    if (request.method !== "PUT" || lost === 0) return payload;
    lost--;
    reply.hijack();
    request.raw.socket.destroy();
    return payload;
  });
  for (const bucket of buckets)
    await app.inject({ method: "PUT", url: `/${bucket}`, headers: { "x-inside": "1" } });
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  return {
    url,
    connections: () => opened,
    loseAnswers: (count) => {
      lost = count;
    },
    stop: async () => {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}
