declare module "dynalite" {
  import type { Server } from "node:http";

  interface Options {
    readonly path?: string;
    readonly createTableMs?: number;
    readonly deleteTableMs?: number;
    readonly updateTableMs?: number;
    readonly maxItemSizeKb?: number;
  }
  /** An HTTP server that answers like DynamoDB; it does not listen yet. */
  export default function dynalite(options?: Options): Server;
}
