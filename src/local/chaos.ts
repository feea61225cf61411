import type { buildApp } from "fauxqs";

export interface ChaosOptions {
  /** The same seed disturbs the same way as far as the order of requests is the same. */
  readonly seed: number;
  /** Share of invocations during which the function's process is killed. */
  readonly killProbability?: number;
  /** Share of messages that are delivered twice, the copy or the original late. */
  readonly duplicateProbability?: number;
  /** How late, in ms. */
  readonly maxDelayMs?: number;
}

interface SendBody {
  Entries?: { DelaySeconds?: number }[];
  DelaySeconds?: number;
}

/** What goes wrong on purpose: processes that die, messages that come twice and out of order. */
export class Chaos {
  readonly options: Required<ChaosOptions>;
  kills = 0;
  duplicates = 0;
  #state: number;

  constructor(options: ChaosOptions) {
    this.options = { killProbability: 0, duplicateProbability: 0, maxDelayMs: 2_000, ...options };
    this.#state = options.seed >>> 0;
  }

  /** A number in [0, 1), from the seed (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** When to kill the process of an invocation, in ms from its start; undefined: not at all. */
  killAfter(): number | undefined {
    if (this.random() >= this.options.killProbability) return undefined;
    this.kills++;
    return this.random() * 40;
  }

  /** Delivers some messages a second time, and some originals after their copies. Senders cannot tell. */
  disturbQueues(app: ReturnType<typeof buildApp>): void {
    app.addHook("preHandler", async (request) => {
      const target = String(request.headers["x-amz-target"]);
      if (!/\.SendMessage(Batch)?$/.test(target) || request.headers["x-weir-copy"]) return;
      if (this.random() >= this.options.duplicateProbability) return;
      this.duplicates++;
      const body = request.body as SendBody;
      const copy = JSON.stringify(body);
      if (this.random() < 0.5) {
        if (body.Entries) for (const entry of body.Entries) entry.DelaySeconds = 1;
        else body.DelaySeconds = 1;
      }
      const headers = {
        "x-amz-target": target,
        "content-type": "application/x-amz-json-1.0",
        "x-weir-copy": "1",
      };
      setTimeout(
        () => void app.inject({ method: "POST", url: "/", headers, payload: copy }).catch(() => undefined),
        this.random() * this.options.maxDelayMs,
      ).unref();
    });
  }
}
