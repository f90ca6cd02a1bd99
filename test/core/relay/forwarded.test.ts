/**
 * Everything that is tested of the relay, once more where whoever can forwards settled media without it: who is heard, what
 * is counted, and when a call is silent must be the same.
 */
import { RelayWorld } from "./world.ts";

RelayWorld.offloads = true;
await import("./learning.test.ts");
await import("./attacks.test.ts");
await import("./sessions.test.ts");
await import("./rewriting.test.ts");
await import("./hearing.test.ts");
await import("./handshakes.test.ts");
await import("./ice.test.ts");
