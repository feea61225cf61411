import { Agent, createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import type { S3Server } from "../../src/dispatcher/storage/testing/s3.ts";

/** A way to LocalStack's S3 on which answers can be lost: everything goes through it as it is. */
export async function startLossy(endpoint: string): Promise<S3Server> {
  const { hostname: host, port } = new URL(endpoint);
  const agent = new Agent({ keepAlive: true });
  let opened = 0;
  let lost = 0;
  const server = createServer((asked, answer) => {
    const { method, url: path, headers } = asked;
    const loses = method === "PUT" && lost > 0;
    if (loses) lost--;
    const onward = send({ host, port, method, path, headers, agent }, (got) => {
      if (loses) {
        // It is done: only whoever asked does not get to know.
        got.on("end", () => asked.socket.destroy()).resume();
        return;
      }
      answer.writeHead(got.statusCode!, got.headers);
      got.pipe(answer);
    });
    onward.on("error", () => asked.socket.destroy());
    asked.pipe(onward);
  });
  server.on("connection", () => opened++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => opened,
    loseAnswers: (count) => {
      lost = count;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
}
