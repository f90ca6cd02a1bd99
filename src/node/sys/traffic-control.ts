/**
 * Filters that see what comes in on an interface, as kernels before 6.6 have them: a program hangs at a `clsact` qdisc, under
 * a number and a name. Nobody but us takes it away again, so whoever finds one later must know by its name whose it is.
 */
import { constants } from "node:os";
import { IFINFOMSG, NLM_F_REQUEST, NLMSGHDR, RTM_GETLINK } from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { attributesIn, openNetlink, putAttribute } from "./netlink.ts";
import {
  ETH_P_ALL,
  INGRESS,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGERR,
  RTM_DELTFILTER,
  RTM_GETTFILTER,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  TC_H_CLSACT,
  TCA_BPF_FD,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCA_BPF_FLAGS,
  TCA_BPF_NAME,
  TCA_KIND,
  TCA_OPTIONS,
  TCMSG,
} from "./privilege-layout.ts";
import { orThrow, SystemError } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

const { EEXIST, EINTR } = constants.errno;

const room = 32_768;
/** Where the attributes of a message about filters begin. */
const attributesAt = NLMSGHDR.size + TCMSG.size;

/** Behind those that others number by hand or let number: what they stop never comes to us. */
const priority = 0x504f;
/** The protocol is in network order. */
const everything = (priority << 16) | (ETH_P_ALL << 8);

export interface Filter {
  readonly interface: number;
  readonly handle: number;
  readonly name: string;
}

/** Where on an interface; `info`: priority and protocol. */
interface Place {
  readonly index: number;
  readonly parent: number;
  readonly handle?: number;
  readonly info?: number;
}

export class TrafficControl {
  readonly #libc: Libc = libc();
  readonly #socket: number = openNetlink(0);
  readonly #memory: NativeMemory = new NativeMemory("traffic control message", room);
  readonly #view: DataView = new DataView(this.#memory.bytes.buffer);

  /** Shows what comes in on an interface to a program. Throws `SystemError`. */
  add({ interface: index, handle, name }: Filter, program: number): void {
    const added = this.#tell(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, { index, parent: TC_H_CLSACT }, (at) =>
      this.#putText(at, TCA_KIND, "clsact"),
    );
    // Whosever it is, it does for all.
    if (added !== -EEXIST) orThrow("netlink(RTM_NEWQDISC)", added);
    const filter = { index, parent: INGRESS, handle, info: everything };
    const shown = this.#tell(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, filter, (at) =>
      putAttribute(this.#view, this.#putText(at, TCA_KIND, "bpf"), TCA_OPTIONS, (options) => {
        const named = this.#putText(this.#putNumber(options, TCA_BPF_FD, program), TCA_BPF_NAME, name);
        return this.#putNumber(named, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
      }),
    );
    orThrow("netlink(RTM_NEWTFILTER)", shown);
  }

  /** False when it was not there, or its interface is not. */
  remove({ interface: index, handle }: Filter): boolean {
    const filter = { index, parent: INGRESS, handle, info: everything };
    return this.#tell(RTM_DELTFILTER, 0, filter, (at) => this.#putText(at, TCA_KIND, "bpf")) === 0;
  }

  /** Every one of ours and of others that could be ours, on every interface. Throws `SystemError`. */
  find(): Filter[] {
    return this.#interfaces().flatMap((index) => this.#filtersOf(index));
  }

  close(): void {
    closeDescriptor(this.#socket);
    this.#memory.release();
  }

  #interfaces(): number[] {
    const found: number[] = [];
    this.#begin(RTM_GETLINK, NLM_F_DUMP);
    this.#send(NLMSGHDR.size + IFINFOMSG.size);
    this.#receive((at) => found.push(this.#view.getUint32(at + NLMSGHDR.size + IFINFOMSG.index, true)));
    return found;
  }

  #filtersOf(index: number): Filter[] {
    const found: Filter[] = [];
    this.#begin(RTM_GETTFILTER, NLM_F_DUMP);
    this.#putPlace({ index, parent: INGRESS });
    this.#send(attributesAt);
    this.#receive((at, end) => {
      const name = this.#nameIn(at + attributesAt, end);
      const place = at + NLMSGHDR.size;
      const isAtOurs = this.#view.getUint32(place + TCMSG.info, true) === everything;
      if (!isAtOurs || name === undefined) return;
      found.push({ interface: index, handle: this.#view.getUint32(place + TCMSG.handle, true), name });
    });
    return found;
  }

  #nameIn(from: number, end: number): string | undefined {
    for (const options of attributesIn(this.#view, from, end)) {
      if (options.type !== TCA_OPTIONS) continue;
      for (const { type, at, size } of attributesIn(this.#view, options.at, options.at + options.size)) {
        if (type === TCA_BPF_NAME) return new TextDecoder().decode(this.#memory.bytes.subarray(at, at + size - 1));
      }
    }
    return undefined;
  }

  /** Returns 0, or minus errno. */
  #tell(type: number, flags: number, place: Place, write: (at: number) => number): number {
    this.#begin(type, flags | NLM_F_ACK);
    this.#putPlace(place);
    this.#send(write(attributesAt));
    return this.#receive(() => {});
  }

  #begin(type: number, flags: number): void {
    this.#memory.bytes.fill(0, 0, 512);
    this.#view.setUint16(NLMSGHDR.type, type, true);
    this.#view.setUint16(NLMSGHDR.flags, NLM_F_REQUEST | flags, true);
  }

  #putPlace({ index, parent, handle = 0, info = 0 }: Place): void {
    const at = NLMSGHDR.size;
    this.#view.setUint32(at + TCMSG.interface, index, true);
    this.#view.setUint32(at + TCMSG.handle, handle, true);
    this.#view.setUint32(at + TCMSG.parent, parent, true);
    this.#view.setUint32(at + TCMSG.info, info, true);
  }

  #putText(at: number, type: number, text: string): number {
    return putAttribute(this.#view, at, type, (value) => {
      const { written } = new TextEncoder().encodeInto(`${text}\0`, this.#memory.bytes.subarray(value));
      return value + written;
    });
  }

  #putNumber(at: number, type: number, value: number): number {
    return putAttribute(this.#view, at, type, (place) => {
      this.#view.setUint32(place, value, true);
      return place + 4;
    });
  }

  #send(length: number): void {
    this.#view.setUint32(NLMSGHDR.length, length, true);
    orThrow("sendto", this.#libc.sendto(this.#socket, this.#memory.address, length, 0, 0, 0));
  }

  /** Hands over each message with where it ends, to the last one; returns 0, or minus errno. Throws `SystemError`. */
  #receive(handle: (at: number, end: number) => void): number {
    for (;;) {
      const length = this.#libc.recvfrom(this.#socket, this.#memory.address, room, 0, 0, 0);
      if (length === -EINTR) continue;
      orThrow("recvfrom", length);
      for (let at = 0; at + NLMSGHDR.size <= length; ) {
        const size = this.#view.getUint32(at + NLMSGHDR.length, true);
        const type = this.#view.getUint16(at + NLMSGHDR.type, true);
        if (type === NLMSG_ERROR) return this.#view.getInt32(at + NLMSGERR.error, true);
        if (type === NLMSG_DONE) return 0;
        if (size < NLMSGHDR.size) throw new SystemError("recvfrom", constants.errno.EBADMSG);
        handle(at, at + size);
        at += (size + 3) & ~3;
      }
    }
  }
}
