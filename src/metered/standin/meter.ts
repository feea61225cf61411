/** What was asked of DynamoDB and SQS, as they bill it. */
export interface Usage {
  /** Requests by kind. */
  dynamodb: Record<string, number>;
  writeUnits: number;
  readUnits: number;
  failedConditions: number;
  sqs: Record<string, number>;
  /** SQS bills a request for each 64 KB of what it carries. */
  sqsBilled: number;
  /** Bytes of message bodies and attributes that went through queues, each message once. */
  messageBytes: number;
  messages: number;
  invocations: number;
  /** Milliseconds that invocations took, one after the other. */
  invocationMs: number;
  /** Lines that the functions log beside those of the platform. */
  logLines: number;
}

export function nothing(): Usage {
  return {
    dynamodb: {},
    writeUnits: 0,
    readUnits: 0,
    failedConditions: 0,
    sqs: {},
    sqsBilled: 0,
    messageBytes: 0,
    messages: 0,
    invocations: 0,
    invocationMs: 0,
    logLines: 0,
  };
}

export function count(counts: Record<string, number>, kind: string, by = 1): void {
  counts[kind] = (counts[kind] ?? 0) + by;
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, one) => sum + one, 0);
}

/** What came between two readings of one meter. */
export function since(before: Usage, after: Usage): Usage {
  const less = (a: Record<string, number>, b: Record<string, number>) =>
    Object.fromEntries(
      Object.entries(b)
        .map(([kind, value]) => [kind, value - (a[kind] ?? 0)] as const)
        .filter(([, value]) => value !== 0),
    );
  return {
    dynamodb: less(before.dynamodb, after.dynamodb),
    writeUnits: after.writeUnits - before.writeUnits,
    readUnits: after.readUnits - before.readUnits,
    failedConditions: after.failedConditions - before.failedConditions,
    sqs: less(before.sqs, after.sqs),
    sqsBilled: after.sqsBilled - before.sqsBilled,
    messageBytes: after.messageBytes - before.messageBytes,
    messages: after.messages - before.messages,
    invocations: after.invocations - before.invocations,
    invocationMs: after.invocationMs - before.invocationMs,
    logLines: after.logLines - before.logLines,
  };
}

export function copy(usage: Usage): Usage {
  return { ...usage, dynamodb: { ...usage.dynamodb }, sqs: { ...usage.sqs } };
}
