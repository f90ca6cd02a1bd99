/** One Binding, asked as a client would: resolves with the mapped address, as text. */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { blankAddress, formatAddress } from "../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";

const resendMs = 100;

export async function askBinding(port: number, host = "127.0.0.1"): Promise<string> {
  const request = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(randomBytes(12))).finish();
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  // Until the server listens, the system may report that nobody does.
  socket.on("error", () => {});
  const resend = setInterval(() => socket.send(request, port, host), resendMs);
  try {
    socket.send(request, port, host);
    const [answer] = (await once(socket, "message", { signal: AbortSignal.timeout(60_000) })) as [Buffer];
    const view = new StunView();
    const mapped = blankAddress();
    if (view.decode(answer) !== undefined || !view.xorAddressAt(view.indexOf(Attribute.XorMappedAddress), mapped)) {
      throw new Error(`not an answer: ${answer.toString("hex")}`);
    }
    return formatAddress(mapped);
  } finally {
    clearInterval(resend);
    socket.close();
  }
}
