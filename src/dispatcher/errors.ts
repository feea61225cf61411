/** What a capture node's calls reject with. Each has a `name` of its own, so that they can be told apart without the class. */
import { WeirError } from "../error/weir-error.ts";

/** The node was stopped, or is being stopped: nothing is begun, and what was begun may not have ended. */
export class NodeStopped extends WeirError {
  override readonly name = "NodeStopped";

  constructor(what: string) {
    super("node-stopped", `the node is stopped: ${what}`);
  }
}

/** The dispatcher was removed or closed: its stream has come to its end here. */
export class DispatcherClosed extends WeirError {
  override readonly name = "DispatcherClosed";

  constructor(id: string) {
    super("dispatcher-closed", `dispatcher ${id} is closed: it takes nothing any more`);
  }
}

/** A dispatcher could not be removed in time. It is still being removed: call `removeDispatcher` again to wait on. */
export class StillBusy extends WeirError {
  override readonly name = "StillBusy";

  constructor(message: string, options?: ErrorOptions) {
    super("still-busy", message, options);
  }
}

/** Calls of one dispatcher overlap that must not: the stream stands at an event until its `handle` has settled. */
export class OverlappingCall extends WeirError {
  override readonly name = "OverlappingCall";

  constructor(message: string, options?: ErrorOptions) {
    super("overlapping-call", message, options);
  }
}

/** An earlier `write` or `handle` of this dispatcher failed, and was not done again: until then nothing else is taken. */
export class EarlierFailed extends WeirError {
  override readonly name = "EarlierFailed";

  constructor(message: string, options?: ErrorOptions) {
    super("earlier-failed", message, options);
  }
}

/** A request had no answer in time. It may have had its effect. It is made anew. */
export class NoAnswer extends WeirError {
  override readonly name = "NoAnswer";

  constructor(message: string, options?: ErrorOptions) {
    super("no-answer", message, options);
  }
}

/** A queue will never take this message: it is too large, or holds what no message may. It is not tried again. */
export class MessageRefused extends WeirError {
  override readonly name = "MessageRefused";

  constructor(message: string, options?: ErrorOptions) {
    super("message-refused", message, options);
  }
}

/** There is no such queue, or no longer. */
export class QueueGone extends WeirError {
  override readonly name = "QueueGone";

  constructor(message: string, options?: ErrorOptions) {
    super("queue-gone", message, options);
  }
}

/** A queue of the node's name is there that others can read or send to: the node does not use it. */
export class UnsafeQueue extends WeirError {
  override readonly name = "UnsafeQueue";

  constructor(message: string, options?: ErrorOptions) {
    super("unsafe-queue", message, options);
  }
}

/** A message in an action queue is from nobody whom `coordinators` names. It was deleted, and not obeyed. */
export class UnknownSender extends WeirError {
  override readonly name = "UnknownSender";

  constructor(message: string, options?: ErrorOptions) {
    super("unknown-sender", message, options);
  }
}

/**
 * A dispatcher will not be accepted: the coordinator does not want it, whatever its life, because its table was dropped,
 * say; or it was removed before.
 */
export class RegistrationRefused extends WeirError {
  override readonly name = "RegistrationRefused";

  constructor(message: string, options?: ErrorOptions) {
    super("registration-refused", message, options);
  }
}

/** Whether something ended only because its node or dispatcher did: that is no fault to tell. */
export function isOver(error: unknown): boolean {
  return error instanceof NodeStopped || error instanceof DispatcherClosed;
}
