/**
 * Every error of Weir's own has a code. Logs, alarms and other programs tell errors apart by it; the message is for people and
 * may change. `docs/errors.md` lists the codes.
 */

/** What a code means, and what to do about it. */
export interface ErrorMeaning {
  readonly means: string;
  readonly remedy: string;
}

/** All codes. A code is never given another meaning, and never reused. */
export const ERROR_CODES = {
  contention: {
    means: "Others changed the same item all the time, and every attempt lost.",
    remedy:
      "Nothing: the message comes back by itself. If it lasts, look for a message that is sent in a loop.",
  },
  "no-end": {
    means: "One piece of work found more work without end. This is a fault in Weir.",
    remedy: "Keep the log and the output of weir barriers, and open an issue.",
  },
  "no-time": {
    means: "A sweep had no time to look at all of a changefeed.",
    remedy: "Nothing: the next sweep goes on there. If it lasts, give the sweeper more memory.",
  },
  "state-missing": {
    means: "The table lacks an item that another item points to.",
    remedy:
      "Do not change the table by hand. After a restored backup, open the changefeed with a higher epoch.",
  },
  "root-full": {
    means: "Too many barriers are open at once.",
    remedy: "See what holds the oldest barrier up: weir barriers.",
  },
  "epochs-full": {
    means: "The changefeed was opened again too often in a short time.",
    remedy: "Nothing: the opening counts when a sweep has collected an earlier epoch.",
  },
  "item-too-large": {
    means: "An item would be larger than DynamoDB allows.",
    remedy: "The message names the item and what to make smaller. docs/bounds.md has all bounds.",
  },
  "message-too-large": {
    means: "A message would be larger than a queue takes.",
    remedy: "The message says what to make smaller.",
  },
  throttled: {
    means: "DynamoDB refused requests because there were too many.",
    remedy: "Nothing: the message comes back by itself. If it lasts, raise the quota of the account.",
  },
  "bad-queue-name": {
    means: "An action was to be sent to a queue that Weir does not send to.",
    remedy: "The node registers queues whose names begin with the deployment's prefix.",
  },
  "send-failed": {
    means: "SQS did not take a message.",
    remedy: "Nothing: the work comes back by itself. If it lasts, look at the rights of the function's role.",
  },
  "not-configured": {
    means: "A function or a command lacks something that it needs to work.",
    remedy: "Deploy the stack again.",
  },
  "node-too-old": {
    means: "The version of Node is too old.",
    remedy: "Use the version that the message names.",
  },
  "bad-message": {
    means: "The body of a message cannot be understood.",
    remedy: "Mend its sender. The message is kept as a dead letter.",
  },
  "bad-state": {
    means: "A report says something impossible.",
    remedy: "Mend its sender. The message is kept as a dead letter.",
  },
  "bad-input": { means: "An option or an argument is wrong.", remedy: "The message says what it must be." },
  "bad-change-log": {
    means: "A change log cannot be replayed.",
    remedy: "The message names the file, the line and what to change.",
  },
  "unknown-statement": {
    means: "A statement of a change log cannot be read.",
    remedy: "Give the parts that are missing beside the statement, as docs/change-logs.md says.",
  },
  "epoch-over": {
    means: "The changefeed was opened again while something was at work on the former epoch.",
    remedy: "Nothing in the functions. In the command line: look again, and type it again.",
  },
  "node-stopped": { means: "The capture node is stopped, or is being stopped.", remedy: "Start a new node." },
  "dispatcher-closed": {
    means: "The dispatcher was removed or closed.",
    remedy: "Give it nothing any more.",
  },
  "still-busy": {
    means: "A dispatcher could not be removed in time, because its sink works.",
    remedy: "Call removeDispatcher again to wait on.",
  },
  "overlapping-call": {
    means: "Two calls of one dispatcher overlap that must not.",
    remedy: "Wait for the first one.",
  },
  "earlier-failed": {
    means: "An earlier write of this dispatcher failed and was not done again.",
    remedy: "Repeat the call that failed, or close the dispatcher.",
  },
  "event-order": {
    means: "Events were given in an order in which no stream has them.",
    remedy: "Give each event once, in the order of the stream.",
  },
  "no-answer": {
    means: "A request had no answer in time. It may have had its effect.",
    remedy: "Nothing: it is made anew.",
  },
  "message-refused": {
    means: "A queue will never take this message.",
    remedy: "The message says why. It is not tried again.",
  },
  "queue-gone": {
    means: "There is no such queue, or no longer.",
    remedy: "The node creates its own queue again. The status queue is the deployment's.",
  },
  "not-extended": {
    means: "Messages that a node works on could not be kept from coming again.",
    remedy: "Nothing: what comes again is done once.",
  },
  "queue-settings": {
    means: "A queue of the node lacks something, and is used as it is.",
    remedy: "The message says what the node's role needs, or what to change.",
  },
  "unsafe-queue": {
    means: "Others can read a queue of the node's name, or send to it.",
    remedy: "Delete that queue, or mend its policy.",
  },
  "unknown-sender": {
    means: "A message is from somebody that the option coordinators does not name.",
    remedy: "Find out whose it is. The node did not obey it.",
  },
  "registration-refused": {
    means: "The coordinator does not want a dispatcher, whatever its life.",
    remedy: "Close the dispatcher: its table was dropped, or it was removed.",
  },
  "behind-the-epoch": {
    means: "The changefeed is in a higher epoch than the node follows.",
    remedy: "Give the node onHigherEpoch, or start it again with the new epoch.",
  },
  "two-processes": {
    means: "Two processes speak as one node.",
    remedy: "Stop one of them.",
  },
  "sink-contract": {
    means: "A sink does not do what Weir asks of sinks. Only the test sinkContract says this.",
    remedy: "Mend the sink: the message names the rule and what was found.",
  },
  "storage-taken": {
    means: "Another sink of the same dispatcher writes in the same folder.",
    remedy: "This sink stops for good. Start the dispatcher anew if it is the one that should run.",
  },
  "storage-contended": {
    means: "A file or a folder changes all the time while a sink writes there.",
    remedy: "Let one process write a dispatcher's folder and a changefeed's checkpoint.",
  },
  "not-supported": {
    means: "Something cannot be done here.",
    remedy: "The message says what to use in its place.",
  },
  "function-failed": {
    means: "A function of weir local failed or ended.",
    remedy: "Its output says why. Its messages come back.",
  },
  "not-permitted": {
    means: "On weir local a function asked for something that the stack does not permit it.",
    remedy: "This is a fault in Weir: open an issue.",
  },
} as const satisfies Record<string, ErrorMeaning>;

/** One of the codes in docs/errors.md. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * An error of Weir's own. `message` says what, where and what to do; `code` never changes.
 *
 * @example
 * ```ts
 * import { WeirError } from "@weir-cdc/weir";
 *
 * export const isAlarm = (error: unknown) => !(error instanceof WeirError && error.code === "no-answer");
 * ```
 */
export class WeirError extends Error {
  declare readonly name: string;
  readonly code: ErrorCode;

  static {
    // Of the class and on the prototype, so that an uncaught one is printed with it, in a minified bundle too.
    const name = { value: "WeirError", configurable: true, writable: true };
    Object.defineProperty(WeirError, "name", name);
    Object.defineProperty(WeirError.prototype, "name", name);
  }

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The code of an error that is one of Weir's own. */
export function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof WeirError ? error.code : undefined;
}
