/** Which streams are the relay's. */
import type { StreamDescription } from "../call/description.ts";

/** Whether packets of the stream pass the relay. What runs over TCP does not, and is refused on the way. */
export function isCarried({ isRefused, carrier }: StreamDescription): boolean {
  return !isRefused && carrier !== "stream";
}
