/** What the messages of the status queue ask of a changefeed, taken apart. */
import type { BlockEvent } from "../../barrier/event.ts";
import type { MembershipChange, Sender } from "../../barrier/membership.ts";
import type { Slice } from "../base/slice.ts";
import type { Space } from "../base/space.ts";

/** A message of the status queue, as the maintainer gets it. */
export interface StatusMessage {
  readonly messageId: string;
  readonly body: string;
  /** The message attributes (all of DataType String). */
  readonly attributes: Readonly<Record<string, string>>;
  /** `SentTimestamp`, milliseconds since 1970. */
  readonly sentAt: number;
  /** `ApproximateReceiveCount`. Above 1: an earlier invocation may have died on it. */
  readonly receiveCount: number;
  /** `SenderId`; of a role, what stands before the colon. Empty where the queue names none. */
  readonly principal: string;
}

/** One dispatcher and the life that a report names; 0 if it names none (an old node). */
export interface ReportedLife {
  readonly id: string;
  readonly life: bigint;
}

/** One block status, of one or many dispatchers. */
export interface Report {
  readonly key: string;
  /** `writing` and `written` come with registrations only: the block state WRITING and DONE (protocol.md M14). */
  readonly stage: "none" | "waiting" | "writing" | "written" | "done";
  readonly done: "write" | "pass" | "unspecified";
  readonly lives: readonly ReportedLife[];
  /** Absent for DONE. */
  readonly event: BlockEvent | undefined;
  readonly bytes: Uint8Array;
  /** Says the same for equal events; routes are not part of it, for only the table trigger reports them. */
  readonly digest: string;
  /** Route changes (`routeBytes`); empty: none. */
  readonly routes: Uint8Array;
  readonly sender: Sender;
  /** The message it came in, where in it, and whether that was delivered before. */
  readonly message: StatusMessage;
  readonly index: number;
  readonly redelivered: boolean;
  /** It is the block state of a registration: it counts with the life that this registered, and is never kept. */
  readonly registered: boolean;
}

/** What a message asks of one space. */
export interface SpaceInput {
  readonly space: Space;
  readonly message: StatusMessage;
  /** Registrations and openings name an epoch (0 counts as 1); undefined: the present one. */
  readonly epoch: bigint | undefined;
  readonly membership: MembershipChange | undefined;
  readonly reports: readonly Report[];
  /** What another invocation handed over. */
  readonly slice?: Slice;
  /** Where a registration, an opening and a refusal are answered; empty: the node's queue. */
  readonly replyQueue: string;
}

/** A message taken apart. `faults`: what in it cannot be understood; the rest of it counts. */
export interface Intake {
  readonly inputs: readonly SpaceInput[];
  readonly faults: readonly string[];
}

export interface IntakeSettings {
  /** Names of action queues start with it (protocol.md R2). */
  readonly actionQueuePrefix: string;
  /** Principals that may bring a dead letter back in the name of its sender: the coordinator's own and operators'. */
  readonly redrivers?: readonly string[];
  /** Bytes that an item may have: an event that takes too much of it is refused (docs/bounds.md). */
  readonly itemBytes: number;
}
