const known = new WeakMap<object, string>();

/**
 * A value as text that is the same for equal values: maps, sets and objects in the order of their keys. Remembered per
 * object, so values must not change: what a checker hashes many times is written out once.
 */
export function canonical(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
  const before = known.get(value);
  if (before !== undefined) return before;
  const text = write(value);
  known.set(value, text);
  return text;
}

function write(value: object): string {
  if (value instanceof Uint8Array) return `x${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value instanceof Set) return `#{${[...value].map(canonical).sort().join()}}`;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const fields = entries
    .filter(([, member]) => member !== undefined)
    .map(([key, member]) => `${canonical(key)}:${canonical(member)}`);
  return `{${fields.sort().join()}}`;
}

/** Freezes plain objects and lists, all the way down: who shares a value cannot change it for others. */
export function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (Array.isArray(value)) for (const one of value) frozen(one);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const one of Object.values(value)) frozen(one);
  else return value;
  return Object.freeze(value);
}
