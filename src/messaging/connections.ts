import { NodeHttpHandler, type NodeHttpHandlerOptions } from "@smithy/node-http-handler";

export interface ConnectionsOptions {
  /** ms to the beginning of an answer, and ms of silence within one. A request may name another for itself. */
  readonly answerMs: number;
  /** ms of silence within an answer that is awaited longer; default: `answerMs`. */
  readonly silenceMs?: number;
  /** ms to a connection. Default: 1,000. */
  readonly connectMs?: number;
  /** Connections at a time. Default: 64. */
  readonly maxSockets?: number;
}

const CONNECT_MS = 1_000;
const MAX_SOCKETS = 64;

/**
 * The SDK's HTTP handler, whose requests all end by themselves. One that had no answer takes the others' kept connections with it:
 * a network that was gone, or a process that was frozen, leaves all of them silent, and each would cost a deadline of its own. What
 * is under way on them goes on.
 */
export class Connections extends NodeHttpHandler {
  readonly #options: ConnectionsOptions;
  readonly #configured: Parameters<NodeHttpHandler["updateHttpClientConfig"]>[] = [];
  readonly #left = new Set<NodeHttpHandler>();
  #present: NodeHttpHandler;

  constructor(options: ConnectionsOptions) {
    const handlerOptions = handlerOptionsOf(options);
    super(handlerOptions);
    this.#options = options;
    this.#present = new NodeHttpHandler(handlerOptions);
  }

  override async handle(
    ...[request, options]: Parameters<NodeHttpHandler["handle"]>
  ): ReturnType<NodeHttpHandler["handle"]> {
    const asked = this.#present;
    try {
      return await asked.handle(request, options);
    } catch (error) {
      if (error instanceof Error && error.name === "TimeoutError" && asked === this.#present) this.renew();
      throw error;
    }
  }

  /** From here on, requests go over new connections. */
  renew(): void {
    const old = this.#present;
    this.#left.add(old);
    this.#present = new NodeHttpHandler(handlerOptionsOf(this.#options));
    for (const [key, value] of this.#configured) this.#present.updateHttpClientConfig(key, value);
    // By then each request on them has its answer, or has been given up.
    const { answerMs, silenceMs = answerMs } = this.#options;
    setTimeout(() => {
      this.#left.delete(old);
      old.destroy();
    }, 2 * silenceMs).unref();
  }

  override updateHttpClientConfig(...one: Parameters<NodeHttpHandler["updateHttpClientConfig"]>): void {
    this.#configured.push(one);
    this.#present.updateHttpClientConfig(...one);
  }

  override httpHandlerConfigs(): ReturnType<NodeHttpHandler["httpHandlerConfigs"]> {
    return this.#present.httpHandlerConfigs();
  }

  override destroy(): void {
    for (const old of this.#left) old.destroy();
    this.#left.clear();
    this.#present.destroy();
  }
}

function handlerOptionsOf(options: ConnectionsOptions): NodeHttpHandlerOptions {
  const { answerMs, silenceMs = answerMs, connectMs = CONNECT_MS, maxSockets = MAX_SOCKETS } = options;
  const agent = { keepAlive: true, maxSockets };
  return {
    connectionTimeout: connectMs,
    requestTimeout: answerMs,
    socketTimeout: silenceMs,
    // Without it the timeout of an answer is only a line in the log.
    throwOnRequestTimeout: true,
    httpAgent: agent,
    httpsAgent: agent,
  };
}
