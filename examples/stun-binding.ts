/**
 * Asks a STUN server from which address it sees you: your public one, when a NAT is between.
 *
 *   node stun-binding.ts stun.example.org 3478
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import {
  Attribute,
  blankAddress,
  formatAddress,
  MessageClass,
  Method,
  messageId,
  StunView,
  StunWriter,
} from "postern/stun";

const [host = "127.0.0.1", port = "3478"] = process.argv.slice(2);
const transaction = randomBytes(12);
const request = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(transaction)).finish();

const socket = createSocket("udp4").bind();
await once(socket, "listening");
const answers = new StunView();
socket.on("message", (data) => {
  // Anything may arrive on an open port: only the answer with our transaction ID counts.
  if (answers.decode(data) !== undefined || !transaction.equals(data.subarray(8, 20))) return;
  const mapped = blankAddress();
  const found = answers.indexOf(Attribute.XorMappedAddress);
  if (answers.class === MessageClass.Success && found >= 0 && answers.xorAddressAt(found, mapped)) {
    console.log(formatAddress(mapped));
    socket.close();
    clearInterval(again);
  }
});

// UDP loses packets: ask again every half second, and give up after five.
let tries = 0;
const ask = () => {
  if (tries++ < 10) return socket.send(request, Number(port), host);
  console.error(`${host}:${port} does not answer`);
  process.exit(1);
};
const again = setInterval(ask, 500);
ask();
