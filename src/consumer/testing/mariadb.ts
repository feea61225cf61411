import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** Whether this machine has a MariaDB of its distribution, and the client for it. */
export const hasMariaDb =
  hasDriver() &&
  ["mariadbd", "mariadb-install-db"].every(
    (program) => spawnSync(program, ["--help"], { stdio: "ignore" }).error === undefined,
  );

function hasDriver(): boolean {
  try {
    return createRequire(import.meta.url).resolve("mysql2") !== "";
  } catch {
    return false;
  }
}

export interface MariaDb {
  readonly url: string;
  /** Its folder. */
  readonly data: string;
  stop(): Promise<void>;
}

/**
 * Starts a server of its own in a new folder, on 127.0.0.1, without databases and without a password.
 * @param options of mariadbd, as `--log-bin=log`
 */
export async function startMariaDb(options: readonly string[] = []): Promise<MariaDb> {
  const data = mkdtempSync(join(tmpdir(), "weir-mariadb-"));
  chmodSync(data, 0o755);
  const { username } = userInfo();
  const own = ["--no-defaults", `--datadir=${data}`, `--user=${username}`];
  const made = spawnSync("mariadb-install-db", [
    ...own,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
  ]);
  if (made.status !== 0) throw new Error(`mariadb-install-db: ${made.stderr}`);
  const port = await freePort();
  const server = spawn(
    "mariadbd",
    [
      ...own,
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      `--socket=${data}/s`,
      "--skip-grant-tables",
      "--skip-networking=0",
      ...options,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  await new Promise<void>((resolve, reject) => {
    let said = "";
    server.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
      if (said.includes("ready for connections")) resolve();
    });
    server.once("exit", () => reject(new Error(said)));
  });
  return {
    url: `mysql://root@127.0.0.1:${port}`,
    data,
    stop: () =>
      new Promise((resolve) => {
        server.once("exit", () => {
          rmSync(data, { recursive: true, force: true });
          resolve();
        });
        server.kill("SIGTERM");
      }),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
