/** What a capture node's calls reject with. Each has a `name` of its own, so that they can be told apart without the class. */

/** The node was stopped, or is being stopped: nothing is begun, and what was begun may not have ended. */
export class NodeStopped extends Error {
  override readonly name = "NodeStopped";

  constructor(what: string) {
    super(`the node is stopped: ${what}`);
  }
}

/** The dispatcher was removed or closed: its stream has come to its end here. */
export class DispatcherClosed extends Error {
  override readonly name = "DispatcherClosed";

  constructor(id: string) {
    super(`dispatcher ${id} is closed: it takes nothing any more`);
  }
}

/** A dispatcher could not be removed in time. It is still being removed: call `removeDispatcher` again to wait on. */
export class StillBusy extends Error {
  override readonly name = "StillBusy";
}

/** Calls of one dispatcher overlap that must not: the stream stands at an event until its `handle` has settled. */
export class OverlappingCall extends Error {
  override readonly name = "OverlappingCall";
}

/** An earlier `write` or `handle` of this dispatcher failed, and was not done again: until then nothing else is taken. */
export class EarlierFailed extends Error {
  override readonly name = "EarlierFailed";
}

/** A request had no answer in time. It may have had its effect. It is made anew. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** A queue will never take this message: it is too large, or holds what no message may. It is not tried again. */
export class MessageRefused extends Error {
  override readonly name = "MessageRefused";
}

/** There is no such queue, or no longer. */
export class QueueGone extends Error {
  override readonly name = "QueueGone";
}

/** A queue of the node's name is there that others can read or send to: the node does not use it. */
export class UnsafeQueue extends Error {
  override readonly name = "UnsafeQueue";
}

/** A message in an action queue is from nobody whom `coordinators` names. It was deleted, and not obeyed. */
export class UnknownSender extends Error {
  override readonly name = "UnknownSender";
}

/** Whether something ended only because its node or dispatcher did: that is no fault to tell. */
export function isOver(error: unknown): boolean {
  return error instanceof NodeStopped || error instanceof DispatcherClosed;
}
