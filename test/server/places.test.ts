/** A listener that cannot be opened is tried for as long as it takes, and told of once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { PosternError } from "../../src/core/base/failure.ts";
import type { TurnService } from "../../src/node/turn-service.ts";
import type { Listeners } from "../../src/server/listeners.ts";
import { type Place, Places } from "../../src/server/places.ts";

const place: Place = { plan: { listen: [], relays: [], own: [], discovery: [] }, external: [] };

test("a port that stays taken is warned of once, and again when it was free meanwhile", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const events: string[] = [];
  const log = pino({ messageKey: "event" }, { write: (line) => events.push(JSON.parse(line).event as string) });
  let taken: string | undefined = "udp 192.0.2.1:3478";
  let tries = 0;
  const listeners: Pick<Listeners, "follow" | "isComplete"> = {
    follow: async () => {
      tries++;
      if (taken !== undefined) throw new PosternError("address-busy", `Cannot listen on ${taken}.`);
    },
    isComplete: () => taken === undefined,
  };
  let work = Promise.resolve();
  using places = new Places(
    place,
    { setAddresses: () => {} } as unknown as TurnService,
    listeners as Listeners,
    log,
    (job) => {
      work = job();
    },
  );
  const retry = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      context.mock.timers.tick(3_000);
      await work;
    }
  };
  await places.moveTo(place);
  await retry(5);
  assert.deepEqual([tries, events], [6, ["listener-failed"]]);
  taken = "tcp 192.0.2.1:3478";
  await retry(3);
  assert.equal(events.length, 2, "another problem is another line");
  taken = undefined;
  await retry(1);
  taken = "tcp 192.0.2.1:3478";
  await places.moveTo(place);
  assert.equal(events.length, 3);
});
