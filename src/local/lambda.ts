import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { WeirError } from "../error/weir-error.ts";
import type { Chaos } from "./chaos.ts";
import type { InvocationAnswer, InvocationRequest } from "./runtime.ts";

export interface FunctionOptions {
  readonly name: string;
  /** The bundled module. */
  readonly bundle: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly onLog: (line: string) => void;
  readonly chaos?: Chaos;
}

/** A module of its own beside this one: TypeScript here, JavaScript in the published package. */
const RUNTIME = fileURLToPath(new URL(`./runtime${extname(import.meta.url)}`, import.meta.url));

/** An execution environment: one process, one invocation at a time. */
class Environment {
  readonly #child: ChildProcess;
  readonly ready: Promise<void>;
  #next = 0;
  dead = false;
  #fail: ((error: Error) => void) | undefined;
  #answer: ((answer: InvocationAnswer) => void) | undefined;

  constructor(options: FunctionOptions) {
    this.#child = fork(RUNTIME, [options.bundle], {
      env: { PATH: process.env["PATH"] ?? "", ...options.environment },
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on("data", (data: Buffer) => options.onLog(data.toString()));
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    // Whether somebody waits for it or not, a process that dies at its start is no unhandled error.
    this.ready.catch(() => undefined);
    this.#child.on("message", (message: InvocationAnswer | "ready") => {
      if (message === "ready") ready.resolve();
      else this.#answer?.(message);
    });
    this.#child.on("exit", (code, signal) => {
      this.dead = true;
      const error = new WeirError(
        "function-failed",
        `the process of ${options.name} ended (${signal ?? code})`,
      );
      ready.reject(error);
      this.#fail?.(error);
    });
  }

  async invoke(event: unknown, timeoutMs: number): Promise<unknown> {
    await this.ready;
    const id = this.#next++;
    const outcome = Promise.withResolvers<unknown>();
    this.#fail = outcome.reject;
    this.#answer = (answer) => {
      if (answer.id !== id) return;
      if ("error" in answer) outcome.reject(new WeirError("function-failed", answer.error));
      else outcome.resolve(answer.result);
    };
    const timer = setTimeout(() => this.kill(), timeoutMs);
    const request: InvocationRequest = {
      id,
      event,
      requestId: randomUUID(),
      deadline: Date.now() + timeoutMs,
    };
    // A process may end between two invocations; its channel says so here before its exit is known.
    this.#child.send(request, (error) => {
      if (error) outcome.reject(error);
    });
    try {
      return await outcome.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** A function as Lambda runs it: environments are started when none is free, and used again, the last used first. */
export class LocalFunction {
  readonly options: FunctionOptions;
  readonly #idle: Environment[] = [];
  readonly #all = new Set<Environment>();
  invocations = 0;
  errors = 0;

  constructor(options: FunctionOptions) {
    this.options = options;
  }

  /**
   * Invokes the function.
   * @throws what the function threw, or that its process ended or took too long
   */
  async invoke(event: unknown): Promise<unknown> {
    this.invocations++;
    const environment = this.#free() ?? this.#start();
    const killAfter = this.options.chaos?.killAfter();
    const killer =
      killAfter === undefined
        ? undefined
        : environment.ready.then(
            () => setTimeout(() => environment.kill(), killAfter),
            () => undefined,
          );
    try {
      return await environment.invoke(event, this.options.timeoutMs);
    } catch (error) {
      this.errors++;
      this.options.onLog(`${this.options.name}: ${error instanceof Error ? error.message : error}\n`);
      throw error;
    } finally {
      clearTimeout(await killer);
      if (environment.dead) this.#all.delete(environment);
      else this.#idle.push(environment);
    }
  }

  #free(): Environment | undefined {
    for (;;) {
      const environment = this.#idle.pop();
      if (!environment?.dead) return environment;
      this.#all.delete(environment);
    }
  }

  stop(): void {
    for (const environment of this.#all) environment.kill();
    this.#all.clear();
    this.#idle.length = 0;
  }

  #start(): Environment {
    const environment = new Environment(this.options);
    this.#all.add(environment);
    return environment;
  }
}
