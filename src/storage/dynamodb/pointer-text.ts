import type { ChunkPointer } from "../../barrier/roster.ts";

const KINDS = { dispatchers: "d", tables: "t", nodes: "n", routes: "r" } as const;
const KIND_OF = { d: "dispatchers", t: "tables", n: "nodes", r: "routes" } as const;

/** `d17.3.name` */
export const pointerText = ({ kind, id, version, name }: ChunkPointer): string =>
  `${KINDS[kind]}${id}.${version}.${name}`;

export function pointerFrom(stored: string): ChunkPointer {
  const [head = "", version = "", ...name] = stored.split(".");
  return {
    kind: KIND_OF[head[0] as keyof typeof KIND_OF],
    id: Number(head.slice(1)),
    version: Number(version),
    name: name.join("."),
  };
}

/** One after the other: a hundred dispatchers' share of the root is a few bytes. */
export const pointersText = (pointers: readonly ChunkPointer[]): string =>
  pointers.map(pointerText).join(" ");

export const pointersFrom = (stored: string): ChunkPointer[] =>
  stored === "" ? [] : stored.split(" ").map(pointerFrom);
