/** A network between a client and a server, for tests of what becomes of requests when it does not carry them. */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";

export class Network {
  readonly url: string;
  /** Connections that were made so far. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: "carries" | "silent" | "resets" = "carries";
  /** Connections of the present are carried; those of before are silent for ever. */
  #era = 0;

  private constructor(server: Server, target: URL) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (near) => {
      this.connections++;
      const era = this.#era;
      if (this.#state === "resets") return void near.resetAndDestroy();
      const far = connect(Number(target.port), target.hostname);
      const passes = () => this.#state === "carries" && era === this.#era;
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on("data", (data) => passes() && to.write(data));
        from.on("error", () => undefined);
        from.on("close", () => {
          this.#sockets.delete(from);
          // A silent network does not carry the end, either.
          if (from === near || passes()) to.destroy();
        });
      }
    });
  }

  /** @param target where the server is */
  static async before(target: string): Promise<Network> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Network(server, new URL(target));
  }

  /** Nothing arrives any more, and nobody hears of it: connections stay open. */
  fallSilent(): void {
    this.#state = "silent";
  }

  /** Every connection is reset, those to come too. */
  reset(): void {
    this.#state = "resets";
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** New connections are carried. Those that were open stay as silent as they were. */
  carryNew(): void {
    this.#era++;
    this.#state = "carries";
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
