import { InvalidState } from "../../barrier/event.ts";
import { decode, MalformedMessage, parseEncoding } from "../../protocol/codec.ts";
import { parseSlice, SLICE_TYPE } from "../base/slice.ts";
import { reportsOf } from "./block-report.ts";
import { senderOf } from "./envelope.ts";
import type { Intake, IntakeSettings, StatusMessage } from "./input.ts";
import { openingChanges, registrationChanges, statusChanges } from "./membership.ts";

/** Takes a message apart. Never throws for what the message says: that goes to `faults` (invariants.md I10). */
export function takeIn(message: StatusMessage, settings: IntakeSettings): Intake {
  try {
    return takeApart(message, settings);
  } catch (error) {
    if (error instanceof MalformedMessage || error instanceof InvalidState)
      return { inputs: [], faults: [error.message] };
    throw error;
  }
}

function takeApart(message: StatusMessage, settings: IntakeSettings): Intake {
  const { attributes, body } = message;
  const encoding = parseEncoding(attributes["encoding"]);
  if (attributes["type"] === SLICE_TYPE) return sliceOf(message);
  const sender = senderOf(message, settings);
  switch (attributes["type"]) {
    case "BlockStatusRequest":
      return reportsOf(message, sender, encoding, settings);
    case "HeartBeatRequest":
      return statusChanges(message, sender, decode("HeartBeatRequest", encoding, body));
    case "MaintainerBootstrapResponse":
      return registrationChanges(
        message,
        sender,
        encoding,
        decode("MaintainerBootstrapResponse", encoding, body),
        settings,
      );
    case "MaintainerPostBootstrapRequest":
      return openingChanges(
        message,
        sender,
        decode("MaintainerPostBootstrapRequest", encoding, body),
        settings.actionQueuePrefix,
      );
    case undefined:
      throw new MalformedMessage(`attribute type is absent: ${KNOWN_TYPES}`);
    default:
      throw new MalformedMessage(`attribute type is "${attributes["type"]}": ${KNOWN_TYPES}`);
  }
}

function sliceOf(message: StatusMessage): Intake {
  const slice = parseSlice(message.body);
  const { space } = slice;
  return {
    inputs: [{ space, message, epoch: undefined, membership: undefined, reports: [], slice, replyQueue: "" }],
    faults: [],
  };
}

const KNOWN_TYPES =
  "use BlockStatusRequest, HeartBeatRequest, MaintainerBootstrapResponse or MaintainerPostBootstrapRequest";
