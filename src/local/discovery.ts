import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import type { Endpoints } from "./deployment.ts";

/** Where running deployments of this user say where they are. */
function folder(): string {
  return join(tmpdir(), `weir-local-${userInfo().uid}`);
}

/** Says where a deployment is, so that other commands find it. @returns what takes it back */
export function announce(endpoints: Endpoints): () => void {
  mkdirSync(folder(), { recursive: true, mode: 0o700 });
  const file = join(folder(), `${process.pid}.json`);
  writeFileSync(file, JSON.stringify(endpoints), { mode: 0o600 });
  return () => rmSync(file, { force: true });
}

/** The deployments that run here; what a process left behind that ended without a word is taken away. */
export function findLocalDeployments(): { pid: number; endpoints: Endpoints }[] {
  let files: string[];
  try {
    files = readdirSync(folder());
  } catch {
    return [];
  }
  return files.flatMap((name) => {
    const pid = Number.parseInt(name, 10);
    const file = join(folder(), name);
    if (!isRunning(pid)) {
      rmSync(file, { force: true });
      return [];
    }
    return [{ pid, endpoints: JSON.parse(readFileSync(file, "utf8")) as Endpoints }];
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
