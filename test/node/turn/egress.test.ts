import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_FIELDS } from "../../../src/core/base/ip-fields.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { Account } from "../../../src/core/turn/server/account.ts";
import type { Flow, RelayId } from "../../../src/core/turn/server/flow.ts";
import { NOBODY } from "../../../src/core/turn/server/shard.ts";
import { createStats } from "../../../src/core/turn/server/stats.ts";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { Egress } from "../../../src/node/turn/egress.ts";
import { udpPath } from "../../support/turn-world.ts";
import { at } from "../host-under-test.ts";

test("nothing leaves by a relay or a listener that is gone, although its socket's number may serve another", () => {
  const datapath = new DgramDatapath();
  const sockets: number[] = [];
  datapath.send = (socket) => sockets.push(socket) > 0;
  datapath.sendChannelData = (socket) => sockets.push(socket) > 0;
  const egress = new Egress(datapath, { sendFrame: () => {}, sendChannelData: () => {} });
  const relay: RelayId = 3;
  const client = { ...udpPath(), listener: 5 };
  const toPeer: Flow = {
    toward: "peer",
    client,
    channel: 0x4000,
    relay,
    peer: at("192.0.2.1", 9),
    account: new Account(createStats(), undefined, undefined),
    packets: 0,
    bytes: 0,
    until: 0 as Instant,
  };
  const toClient: Flow = { ...toPeer, toward: "client" };
  const data = new Uint8Array(8);
  const here = { offset: 0, length: 8, fields: NO_FIELDS, shard: NOBODY, source: toPeer.peer };
  const all = () => {
    egress.forward({ ...here, flow: toPeer }, data);
    egress.forward({ ...here, flow: toClient }, data);
    egress.send(client, data);
    return sockets.splice(0);
  };
  assert.deepEqual(all(), [-1, -1, -1]);
  egress.setRelay(relay, 7);
  egress.setListener(5, 8);
  assert.deepEqual(all(), [7, 8, 8]);
  egress.removeRelay(relay);
  egress.removeListener(5);
  assert.deepEqual(all(), [-1, -1, -1]);
});
