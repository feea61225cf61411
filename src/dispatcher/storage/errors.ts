import { WeirError } from "../../error/weir-error.ts";
/** Another sink of the same dispatcher has written where this one does: this one is of a life that is over. */
export class StorageTaken extends WeirError {
  override readonly name = "StorageTaken";

  constructor(folder: string, dispatcher: string) {
    super(
      "storage-taken",
      `${folder}: another sink writes files of dispatcher ${dispatcher}; this one stops for good. Start the dispatcher anew if it is the one that should run`,
    );
  }
}
