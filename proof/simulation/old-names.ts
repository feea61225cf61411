/** Old nodes have names of their own, and lives have none there: the coordinator numbers them (protocol.md R6). */
export function isOldName(node: string): boolean {
  return node.startsWith("o");
}

/** The number under which those who watch know a life: that of the node, and of an old node none. */
export function lifeOn(node: string, life: bigint | undefined): bigint {
  return isOldName(node) ? 0n : (life ?? -1n);
}
