import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { decode, type Encoding, type MessageOf, schemas } from "./codec.ts";
import { HexIds, hexId } from "./hex-id.ts";
import type { TableSpanBlockStatus } from "./messages.ts";

/** A block status with its long lists as they are used: ids as hex digits. */
export interface FoldedStatus extends Pick<TableSpanBlockStatus, "ID" | "state" | "mode" | "life"> {
  /** `dispatcherIDs`, each as 32 hex digits. */
  readonly ids: readonly string[];
  readonly lives: readonly bigint[];
}

/** A `BlockStatusRequest`. */
export interface FoldedReports extends Pick<MessageOf<"BlockStatusRequest">, "changefeedID" | "mode"> {
  readonly statuses: readonly FoldedStatus[];
}

/**
 * Decodes a `BlockStatusRequest`, in JSON some times faster than `decode`: what is long in a folded report are its lists of
 * ids and lives, and as nodes write them they are read in one pass, without an object or a bigint for each. Everything
 * else, and every list that is written in another way, goes through `decode`; the result is the same.
 * @throws MalformedMessage if the body is not a message of this type in this encoding
 */
export function decodeReports(encoding: Encoding, body: string): FoldedReports {
  return (
    (encoding === "json" ? decodeLifted(body) : undefined) ??
    folded(decode("BlockStatusRequest", encoding, body))
  );
}

function folded({ changefeedID, mode, blockStatuses }: MessageOf<"BlockStatusRequest">): FoldedReports {
  return {
    changefeedID,
    mode,
    statuses: blockStatuses.map(({ ID, state, mode, life, dispatcherIDs, lives }) => ({
      ID,
      state,
      mode,
      life,
      ids: dispatcherIDs.map(({ high, low }) => hexId(high, low)),
      lives,
    })),
  };
}

/** Stands in the place of a list that was taken out, followed by the list's number. */
const MARK = "list ";

/** The lists that were taken out of a body, by their numbers. */
interface Lifted {
  readonly ids: Map<number, readonly string[]>;
  readonly lives: Map<number, readonly bigint[]>;
}

/** The quick way. undefined: the body is not written so that this is safe; it may be good all the same. */
export function decodeLifted(body: string): FoldedReports | undefined {
  const lifted: Lifted = { ids: new Map(), lives: new Map() };
  const rest = liftLists(body, lifted);
  // Without escapes a text that looks like a mark is one, and names of fields are written as they are.
  if (rest === undefined || rest.includes("\\")) return undefined;
  try {
    const request = JSON.parse(rest) as JsonObject;
    const statuses = request["blockStatuses"];
    if (!Array.isArray(statuses)) return undefined;
    const lists = statuses.map((status) => takeMarks(status, lifted));
    // A list that stands elsewhere, or that a later field of the same name took the place of, means something else.
    if (lifted.ids.size + lifted.lives.size > 0) return undefined;
    const { changefeedID, mode, blockStatuses } = fromJson(schemas.BlockStatusRequest, request, {
      ignoreUnknownFields: true,
    });
    return {
      changefeedID,
      mode,
      statuses: blockStatuses.map(({ ID, state, mode, life, dispatcherIDs, lives }, index) => ({
        ID,
        state,
        mode,
        life,
        ids: lists[index]?.ids ?? dispatcherIDs.map(({ high, low }) => hexId(high, low)),
        lives: lists[index]?.lives ?? lives,
      })),
    };
  } catch {
    // What is wrong is said by who reads it whole.
    return undefined;
  }
}

/** Takes the marks out of a status, and gives the lists that they stand for. */
function takeMarks(status: JsonValue | undefined, { ids, lives }: Lifted) {
  if (typeof status !== "object" || status === null || Array.isArray(status)) return {};
  return { ids: takeMark(status, "dispatcherIDs", ids), lives: takeMark(status, "lives", lives) };
}

function takeMark<T>(status: JsonObject, name: string, lists: Map<number, T>): T | undefined {
  const value = status[name];
  if (!Array.isArray(value) || value.length !== 1) return undefined;
  const [mark] = value;
  if (typeof mark !== "string" || !mark.startsWith(MARK)) return undefined;
  const number = Number(mark.slice(MARK.length));
  const list = lists.get(number);
  if (list === undefined) return undefined;
  lists.delete(number);
  delete status[name];
  return list;
}

const IDS = '"dispatcherIDs":[';
const LIVES = '"lives":[';

/** The body with a mark in the place of each list; undefined: a list is written in a way that is not read here. */
function liftLists(body: string, lifted: Lifted): string | undefined {
  let rest = "";
  let from = 0;
  let ids = body.indexOf(IDS);
  let lives = body.indexOf(LIVES);
  for (let number = 0; ids >= 0 || lives >= 0; number++) {
    const isIds = ids >= 0 && (lives < 0 || ids < lives);
    const start = isIds ? ids + IDS.length : lives + LIVES.length;
    // A text of a mark that stands in the body itself is taken for what it is: something else.
    const before = body.slice(from, start);
    if (before.includes(MARK)) return undefined;
    const reader = new ListReader(body, start);
    if (isIds) lifted.ids.set(number, reader.ids());
    else lifted.lives.set(number, reader.lives());
    if (reader.failed) return undefined;
    rest += `${before}"${MARK}${number}"`;
    from = reader.at;
    if (isIds) ids = body.indexOf(IDS, from);
    else lives = body.indexOf(LIVES, from);
  }
  if (from === 0 || body.indexOf(MARK, from) >= 0) return undefined;
  return rest + body.slice(from);
}

const hexIds = new HexIds();
const QUOTE = 0x22;
const COMMA = 0x2c;
const SPACE = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const END = 0x5d;
const WORD = 2 ** 32;
/** So many digits at a time keep all products below 2^53. */
const STEP = 6;
const POWERS = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] as const;

/** Reads one list as nodes write it: numbers as strings of digits, at most spaces behind commas. */
class ListReader {
  readonly #body: string;
  at: number;
  failed = false;
  #high = 0;
  #low = 0;

  /** @param at where the first member begins */
  constructor(body: string, at: number) {
    this.#body = body;
    this.at = at;
  }

  /** `{"high":"1","low":"2"},...]`; either half may be absent, and is zero then. Ends before the bracket. */
  ids(): string[] {
    do {
      if (!this.#take(OPEN)) return this.#fail();
      const hasHigh = this.#number('"high":"');
      hexIds.add(this.#high, this.#low);
      const hasLow = hasHigh
        ? this.#comma() && (this.#number('"low":"') || this.#fault())
        : this.#number('"low":"');
      if (!hasLow) this.#high = this.#low = 0;
      hexIds.add(this.#high, this.#low);
      if (!this.#take(CLOSE)) return this.#fail();
    } while (this.#comma());
    if (this.failed || this.#body.charCodeAt(this.at) !== END) return this.#fail();
    return hexIds.take();
  }

  /** `"1","2",...]`. Ends before the bracket. */
  lives(): bigint[] {
    const lives: bigint[] = [];
    let text = "";
    let life = 0n;
    do {
      // Dispatchers that were created together have the same.
      if (text !== "" && this.#body.startsWith(text, this.at)) this.at += text.length;
      else {
        const from = this.at;
        if (!this.#number('"')) return this.#fail();
        text = this.#body.slice(from, this.at);
        life = BigInt(text.slice(1, -1));
      }
      lives.push(life);
    } while (this.#comma());
    if (this.#body.charCodeAt(this.at) !== END) return this.#fail();
    return lives;
  }

  #fail(): never[] {
    this.failed = true;
    hexIds.clear();
    return [];
  }

  #fault(): false {
    this.failed = true;
    return false;
  }

  #take(code: number): boolean {
    if (this.#body.charCodeAt(this.at) !== code) return false;
    this.at++;
    return true;
  }

  #comma(): boolean {
    if (!this.#take(COMMA)) return false;
    while (this.#body.charCodeAt(this.at) === SPACE) this.at++;
    return true;
  }

  /**
   * Reads a decimal number below 2^64 and its closing quote into two words, if `opening` stands here; otherwise they are
   * zero. A number that is written in another way is a fault.
   */
  #number(opening: string): boolean {
    this.#high = 0;
    this.#low = 0;
    const body = this.#body;
    if (!body.startsWith(opening, this.at)) return false;
    const start = this.at + opening.length;
    let at = start;
    let high = 0;
    let low = 0;
    for (let read = STEP; read === STEP; ) {
      let digits = 0;
      for (read = 0; read < STEP; read++) {
        const digit = body.charCodeAt(at) - 0x30;
        if (!(digit >= 0 && digit <= 9)) break;
        digits = digits * 10 + digit;
        at++;
      }
      const power = POWERS[read]!;
      const sum = low * power + digits;
      const carry = Math.floor(sum / WORD);
      low = sum - carry * WORD;
      high = high * power + carry;
    }
    // Zeros in front change nothing, and a number that is too large leaves a `high` that is.
    if (at === start || high >= WORD || body.charCodeAt(at) !== QUOTE) return this.#fault();
    this.#high = high;
    this.#low = low;
    this.at = at + 1;
    return true;
  }
}
