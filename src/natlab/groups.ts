/** Which sockets of a host have joined which multicast groups, and what its links are told of it. */
import { type Address, formatIp } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import { AddressMap } from "./address-map.ts";
import { type Interface, ipOf, isMulticast } from "./link.ts";
import { toAddress } from "./surroundings.ts";
import type { UdpSocket } from "./udp-socket.ts";

interface Membership {
  readonly group: Readonly<Address>;
  readonly socket: UdpSocket;
  readonly via: Interface | undefined;
}

export class Groups {
  readonly #memberships: AddressMap<Membership[]> = new AddressMap();

  /** `socket`, whose address `via` holds, joins the group that `text` says. */
  join(socket: UdpSocket, text: string, via: Interface | undefined): void {
    const group = toAddress(text);
    if (!isMulticast(group) || group.family !== socket.address.family) {
      throw new PosternError(
        "NATLAB_ADDRESS",
        `Join a group of the family of ${formatIp(socket.address)}, not ${text}.`,
      );
    }
    const others = this.#memberships.find(group) ?? [];
    if (others.some((one) => one.socket === socket)) return;
    this.#memberships.set(group, [...others, { group, socket, via }]);
    via?.link.join(group, via);
  }

  /** `socket` leaves every group; a link is told when nobody behind the same interface is left. */
  leave(socket: UdpSocket): void {
    for (const memberships of [...this.#memberships.values()]) {
      const own = memberships.find((one) => one.socket === socket);
      if (own === undefined) continue;
      const rest = memberships.filter((one) => one !== own);
      this.#memberships.set(own.group, rest);
      if (!rest.some(({ via }) => via === own.via)) own.via?.link.leave(own.group, own.via);
    }
  }

  /** The sockets that hear what is sent to `destination`, a group and a port. */
  hearing(destination: Readonly<Address>): UdpSocket[] {
    const joined = this.#memberships.find(ipOf(destination)) ?? [];
    return joined.map(({ socket }) => socket).filter(({ address }) => address.port === destination.port);
  }
}
