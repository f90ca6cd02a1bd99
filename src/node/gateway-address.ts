/** What the default gateway calls its external address, asked by NAT-PMP. */
import type { Address } from "../core/base/address.ts";
import { anyPrefixContains, type Prefix, parsePrefix } from "../core/base/prefix.ts";
import { type ExternalAddressOutput, ExternalAddressQuery } from "../core/portmap/external-address-query.ts";
import { type ExternalAddressResponse, ResultCode } from "../core/portmap/nat-pmp.ts";
import { type Finding, known, unknown } from "../core/stun/behavior/report.ts";
import type { SocketId } from "./datapath/datapath.ts";
import { DgramDatapath } from "./datapath/dgram.ts";
import { Driver } from "./driver.ts";
import { defaultGateway } from "./gateway.ts";

/** RFC 1918 §3: whoever has another address is no router of a home or an office, and is not asked. */
const PRIVATE: readonly Prefix[] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(
  (text) => parsePrefix(text) as Prefix,
);

export interface GatewayQuestion {
  /** The address that is asked from; its port does not matter. */
  readonly local: Readonly<Address>;
  readonly signal?: AbortSignal;
  /** The gateway, when it is known already. */
  readonly gateway?: Readonly<Address>;
}

/** Its port is zero. Takes two seconds where nobody answers. Rejects with the signal's reason. */
export async function gatewayAddress(question: GatewayQuestion): Promise<Finding<Readonly<Address>>> {
  const { local, signal, gateway = await defaultGateway(local) } = question;
  signal?.throwIfAborted();
  if (gateway === undefined) return unknown("no-gateway");
  if (!anyPrefixContains(PRIVATE, gateway)) return unknown("gateway-not-private");
  return judge(await ask(local, gateway, signal));
}

function judge(response: ExternalAddressResponse | undefined): Finding<Readonly<Address>> {
  if (response === undefined) return unknown("gateway-silent");
  if (response.kind === "address") return known(response.address);
  // RFC 6886 §3.5: a network failure is a gateway that has no address itself.
  return unknown(response.code === ResultCode.NetworkFailure ? "gateway-without-address" : "gateway-refuses");
}

/** One query on one socket. */
async function ask(
  local: Readonly<Address>,
  gateway: Readonly<Address>,
  signal: AbortSignal | undefined,
): Promise<ExternalAddressResponse | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<ExternalAddressResponse | undefined>();
  const datapath = new DgramDatapath();
  let socket: SocketId | undefined;
  const driver = new Driver<ExternalAddressQuery, ExternalAddressOutput>(new ExternalAddressQuery(gateway), {
    perform: (output) => {
      if (output.kind === "result") resolve(output.response);
      else if (socket !== undefined) datapath.send(socket, output.data, 0, output.data.length, output.to);
    },
    handleFailure: reject,
  });
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  try {
    socket = datapath.bind({ ...local, port: 0 }, "relay", {
      handleBound: () => driver.input((machine, now) => machine.start(now)),
      handleBindFailed: () => resolve(undefined),
      handleDatagram: (data, length, from) =>
        driver.input((machine, now) => machine.handleDatagram(data.subarray(0, length), from, now)),
    });
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
    driver.stop();
    await datapath.close();
  }
}
