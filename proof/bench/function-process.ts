import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { InvocationAnswer, InvocationRequest } from "../../src/local/runtime.ts";
import { requestId } from "../../src/metered/fleet.ts";

const RUNTIME = fileURLToPath(new URL("../../src/local/runtime.ts", import.meta.url));
const TIMEOUT_MS = 120_000;

/** A bundled function in a process of its own, whose time and memory are measured from outside. */
export class FunctionProcess {
  readonly #child: ChildProcess;
  readonly #startedAt = performance.now();
  readonly #ready = Promise.withResolvers<void>();
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  #output = "";
  #next = 0;

  constructor(
    bundle: string,
    environment: Readonly<Record<string, string>>,
    execArgv: readonly string[] = [],
  ) {
    this.#child = fork(RUNTIME, [bundle], {
      env: { PATH: process.env["PATH"] ?? "", ...environment },
      execArgv: [...execArgv],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on("data", (data: Buffer) => {
        this.#output = (this.#output + data.toString()).slice(-4_000);
      });
    this.#ready.promise.catch(() => undefined);
    this.#child.on("message", (message: InvocationAnswer | "ready") => {
      if (message === "ready") return this.#ready.resolve();
      const answer = this.#answers.get(message.id);
      if ("error" in message) answer?.reject(new Error(message.error));
      else answer?.resolve(message.result);
    });
    this.#child.on("exit", (code, signal) => {
      const error = new Error(`the function's process ended (${signal ?? code}): ${this.#output}`);
      this.#ready.reject(error);
      for (const answer of this.#answers.values()) answer.reject(error);
    });
  }

  /** Milliseconds since the process was started. */
  get age(): number {
    return performance.now() - this.#startedAt;
  }

  /** Sends an event as soon as the function is loaded, and waits for the answer. */
  async invoke(event: unknown): Promise<unknown> {
    await this.#ready.promise;
    const id = this.#next++;
    const answer = Promise.withResolvers<unknown>();
    this.#answers.set(id, answer);
    const request: InvocationRequest = {
      id,
      event,
      requestId: requestId(id),
      deadline: Date.now() + TIMEOUT_MS,
    };
    this.#child.send(request);
    return answer.promise;
  }

  /** The most memory that the process ever had, in bytes; undefined where the system does not say. */
  peakBytes(): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
      const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
    } catch {
      return undefined;
    }
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}
