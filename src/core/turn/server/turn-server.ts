/**
 * The TURN server (RFC 8656), which answers STUN Binding too. This file dispatches; each procedure has its own.
 *
 * Two lanes. Media (ChannelData, Send indications, datagrams from peers) is answered by the return value, which names
 * a flow that exists already. Everything else is a request: it is authenticated, handled, and answered by outputs.
 */
import type { Address, PeerAddress } from "../../base/address.ts";
import { sameIp } from "../../base/address.ts";
import { itemsOf } from "../../base/chain.ts";
import { type IpFields, NO_FIELDS } from "../../base/ip-fields.ts";
import type { Instant, Machine } from "../../base/machine.ts";
import type { Ports } from "../../base/ports.ts";
import { Attribute, ErrorCode, MessageClass, Method } from "../../stun/registry.ts";
import { StunView } from "../../stun/view.ts";
import { looksLikeChannelData } from "../channel-data.ts";
import type { IcmpError } from "../icmp.ts";
import { handleAllocate } from "./allocate.ts";
import { handleRelayBound, handleRelayFailed } from "./allocate-sockets.ts";
import type { Allocation, Channel, Expiring } from "./allocation.ts";
import { type Authenticated, authenticate, verify } from "./authenticate.ts";
import { handleBinding } from "./binding.ts";
import { handleChannelBind } from "./channel-bind.ts";
import { giveUpClaim, handleShardLost, handleShardMessage } from "./claims.ts";
import { type ClientPath, samePath } from "./client-path.ts";
import type { RelayAddress, SharedSecret, TurnServerConfig } from "./config.ts";
import { handleCreatePermission } from "./create-permission.ts";
import { sameSecret } from "./credentials.ts";
import type { DiscoverySquare } from "./discovery-sites.ts";
import type { Forward, RelayId } from "./flow.ts";
import { settleHandOvers } from "./hand-over.ts";
import { KNOWN_IN_REQUESTS, unknownAttributes } from "./known-attributes.ts";
import {
  endAllocation,
  endRelay,
  expiryReason,
  removeChannel,
  removePermission,
  removeReservation,
} from "./lifetime.ts";
import { handleChannelData, handlePeerData, handleSend, handleShardData } from "./media.ts";
import type { EndReason, KeyQueryId, TurnServerOutput, UserKeys } from "./outputs.ts";
import { handlePeerError } from "./peer-errors.ts";
import { handleRefresh } from "./refresh.ts";
import { refuse } from "./reply.ts";
import type { Shard, ShardMessage } from "./shard.ts";
import { ServerState } from "./state.ts";
import type { TurnServerStats } from "./stats.ts";
import { isTurnedAway } from "./turning-away.ts";

const REQUESTS: readonly number[] = [Method.Allocate, Method.Refresh, Method.CreatePermission, Method.ChannelBind];

export class TurnServer implements Machine<TurnServerOutput> {
  readonly #state: ServerState;
  readonly #view: StunView = new StunView();
  readonly #known: readonly number[];

  /** `shard`: where this server is one of several. */
  constructor(config: TurnServerConfig, ports: Ports, shard?: Shard) {
    this.#state = new ServerState(config, ports, shard);
    // RFC 8656 §7.2 (4): where DF cannot be set, DONT-FRAGMENT is unknown.
    this.#known = config.dontFragment ? [...KNOWN_IN_REQUESTS, Attribute.DontFragment] : KNOWN_IN_REQUESTS;
  }

  get stats(): Readonly<TurnServerStats> {
    return this.#state.stats;
  }

  /**
   * One datagram, or one frame of a stream, from a client: `data[0, length)`. `data` and `from` are borrowed.
   * Returns where its payload goes when it is media; everything else becomes outputs. `fill`: how full the queue is that
   * it came out of, from 0 to 1; undefined where there is none. `fields`: with what it came, where that is known.
   */
  handleClientDatagram(
    data: Uint8Array,
    length: number,
    from: ClientPath,
    now: Instant,
    fill?: number,
    fields: IpFields = NO_FIELDS,
  ): Forward | undefined {
    if (length > 0 && looksLikeChannelData(data[0] as number)) {
      if (fill !== undefined) this.#state.overload.noteMedia(fill, now);
      return handleChannelData(this.#state, data, length, from, now, fields);
    }
    const view = this.#view;
    if (view.decode(data, length) !== undefined) {
      return this.#state.drop("malformed");
    }
    if (view.class === MessageClass.Request) this.#handleRequest(view, from, now, fill);
    else if (view.class === MessageClass.Indication && view.method === Method.Send && !view.classic) {
      return handleSend(this.#state, view, from, now, fields);
    } else if (view.class !== MessageClass.Indication || view.method !== Method.Binding) {
      this.#state.drop("unexpected");
    }
    return undefined;
  }

  /** One datagram that arrived at a relayed transport address. `data` and `from` are borrowed. */
  handlePeerDatagram(
    data: Uint8Array,
    length: number,
    from: PeerAddress,
    relay: RelayId,
    now: Instant,
    fields: IpFields = NO_FIELDS,
  ): Forward | undefined {
    const at = this.#state.relays.find(relay);
    if (at === undefined) return this.#state.drop("no-allocation");
    return handlePeerData(this.#state, data, length, from, at, now, fields);
  }

  /**
   * One datagram, `data[offset, offset + length)`, that an allocation of another shard has sent to the relayed address `to`.
   * All of it is borrowed.
   */
  handleShardDatagram(
    data: Uint8Array,
    offset: number,
    length: number,
    from: PeerAddress,
    to: Readonly<Address>,
    now: Instant,
    fields: IpFields = NO_FIELDS,
  ): Forward | undefined {
    return handleShardData(this.#state, data, offset, length, from, to, now, fields);
  }

  /** An ICMP message about a datagram that left by a relay for `to`, which is borrowed. */
  handlePeerError(to: PeerAddress, relay: RelayId, error: IcmpError, now: Instant): void {
    const at = this.#state.relays.find(relay);
    if (at === undefined) return this.#state.drop("no-allocation");
    handlePeerError(this.#state, to, at, error, now);
  }

  #handleRequest(view: StunView, from: ClientPath, now: Instant, fill: number | undefined): void {
    const state = this.#state;
    if (fill !== undefined && isTurnedAway(state, view, from, fill, now)) return;
    if (view.method === Method.Binding) return handleBinding(state, view, from, now);
    // Classic clients know Binding alone; other methods are not served, and say so to nobody.
    if (view.classic || !REQUESTS.includes(view.method)) return state.drop("unexpected");
    const request = authenticate(state, view, from, now);
    if (request !== undefined) this.#handleAuthenticated(view, request, now);
  }

  #handleAuthenticated(view: StunView, request: Authenticated, now: Instant): void {
    const state = this.#state;
    const { reply } = request;
    const unknown = unknownAttributes(view, this.#known);
    if (unknown.length > 0) {
      // RFC 8489 §6.3.1: an attribute that must be understood and is not.
      const why = `attributes ${unknown.map((type) => `0x${type.toString(16).padStart(4, "0")}`).join(", ")} are unknown`;
      return refuse(state, reply, ErrorCode.UnknownAttribute, why, (writer) =>
        writer.u16List(Attribute.UnknownAttributes, unknown),
      );
    }
    const allocation = state.clients.find(reply.path);
    if (allocation !== undefined && allocation.credentials.username !== request.credentials.username) {
      // RFC 8656 §5: a session belongs to the credentials that made it.
      return refuse(state, reply, ErrorCode.WrongCredentials, "the allocation was made with other credentials");
    }
    if (view.method === Method.Allocate) return handleAllocate(state, view, request, now);
    if (allocation === undefined || allocation.state !== "live") {
      // RFC 8656 §5: only Allocate may come without an allocation.
      return refuse(state, reply, ErrorCode.AllocationMismatch, "there is no allocation on this 5-tuple");
    }
    if (view.method === Method.Refresh) return handleRefresh(state, view, allocation, reply, now);
    if (view.method === Method.ChannelBind) return handleChannelBind(state, view, allocation, reply, now);
    handleCreatePermission(state, view, allocation, reply, now);
  }

  /** The answer to `lookupKey`; undefined keys mean that there is no such user. */
  handleKey(query: KeyQueryId, keys: UserKeys | undefined, now: Instant): void {
    const state = this.#state;
    const pending = state.lookups.take(query);
    if (pending === undefined) return;
    this.#view.decode(pending.data);
    const candidates = keys === undefined ? [] : [state.users.of(keys, pending.algorithm)];
    const request = verify(state, this.#view, pending.path, candidates);
    if (request !== undefined) this.#handleAuthenticated(this.#view, request, now);
  }

  /** The socket asked for by `bindRelay` is open. */
  handleRelayBound(relay: RelayId, now: Instant): void {
    const found = this.#state.relays.find(relay);
    if (found !== undefined) handleRelayBound(this.#state, found, now);
  }

  /**
   * A relay's socket could not be opened, or has died. `busy`: somebody else has the port; `exhausted`: no descriptor
   * or memory is left; `gone`: the address is not the host's any more.
   */
  handleRelayFailed(relay: RelayId, why: "busy" | "exhausted" | "gone", now: Instant): void {
    const found = this.#state.relays.find(relay);
    if (found !== undefined) handleRelayFailed(this.#state, found, why, now);
  }

  /** What another shard's `tell`, or `handOverRelay`, is for this one. */
  handleShardMessage(from: number, message: ShardMessage, now: Instant): void {
    handleShardMessage(this.#state, from, message, now);
  }

  /** Another shard has died, and everything with it; a new one takes its number. */
  handleShardLost(shard: number, now: Instant): void {
    handleShardLost(this.#state, shard, now);
  }

  /** A client's stream is closed: its allocation ends. */
  handleClientClosed(path: ClientPath, now: Instant): void {
    const state = this.#state;
    state.lookups.forgetWhere((waiting) => samePath(waiting, path));
    const allocation = state.clients.find(path);
    if (allocation !== undefined) endAllocation(state, allocation, "client-closed", now);
  }

  /** A UDP listener is closed, and its number is not used again: whoever came through it cannot be answered. */
  handleListenerClosed(listener: number, now: Instant): void {
    this.#state.lookups.forgetWhere((path) => path.listener === listener);
    this.#endWhere("address-gone", now, ({ path }) => path.listener === listener);
  }

  /** The host's addresses changed: allocations on relays that are gone end, and peers are judged again. */
  handleAddresses(relays: readonly RelayAddress[], ownAddresses: readonly Readonly<Address>[], now: Instant): void {
    const state = this.#state;
    state.places.setAddresses(relays);
    state.gate.setAddresses(relays, ownAddresses);
    for (const allocation of state.clients.all()) {
      for (const relay of allocation.relays) {
        if (!state.places.has(relay.place)) endRelay(state, relay, "address-gone", now);
      }
      this.#judgeAgain(allocation);
    }
    for (const reservation of [...state.reservations]) {
      if (!state.places.has(reservation.relay.place)) removeReservation(state, reservation);
    }
  }

  /** What was an ordinary peer may be the host itself now, and the other way round. */
  #judgeAgain(allocation: Allocation): void {
    const state = this.#state;
    for (const permission of itemsOf(allocation.permissions)) {
      permission.open = state.gate.isOpen(permission.peer);
      if (state.gate.judge(permission.peer) !== "forbidden") continue;
      for (const channel of itemsOf(allocation.channels)) {
        if (sameIp(channel.toPeer.peer, permission.peer)) removeChannel(state, channel);
      }
      removePermission(state, permission);
    }
    for (const channel of itemsOf(allocation.channels)) {
      const { peer } = channel.toPeer;
      if (state.gate.judge(peer) === "forbidden") removeChannel(state, channel);
      else {
        channel.open = state.gate.isOpen(peer);
        this.#setOwn(channel, state.gate.judge(peer) === "own");
      }
    }
  }

  #setOwn(channel: Channel, own: boolean): void {
    if (channel.own === own) return;
    channel.own = own;
    // A hand-over begins where the flow toward the peer does: whichever ends is withdrawn before the other is there.
    if (own) this.#hintFlows("withdraw", channel);
    settleHandOvers(this.#state, channel);
    if (!own) this.#hintFlows("offload", channel);
  }

  #hintFlows(kind: "offload" | "withdraw", { toPeer, toClient, permission }: Channel): void {
    const { outputs } = this.#state;
    outputs.push({ kind, flow: toPeer });
    if (permission !== undefined) outputs.push({ kind, flow: toClient });
  }

  /** Serves NAT behaviour discovery (RFC 5780) on these listeners, and on no others; at first on none. */
  handleDiscoverySquares(squares: readonly DiscoverySquare[], _now: Instant): void {
    this.#state.discovery.set(squares);
  }

  /** Replaces the shared secrets; sessions made with one that is gone end. */
  handleSecrets(secrets: readonly SharedSecret[], now: Instant): void {
    this.#state.secrets = secrets;
    this.#endWhere("credentials-revoked", now, ({ credentials: { secret } }) => {
      return secret !== undefined && !secrets.some((kept) => sameSecret(kept, secret));
    });
  }

  /** A user was removed, or has a new password: that user's sessions end. */
  handleUserRemoved(username: string, now: Instant): void {
    const { lookups, outputs, config } = this.#state;
    for (const renewed of lookups.renew()) outputs.push({ kind: "lookupKey", ...renewed, realm: config.realm });
    this.#endWhere("credentials-revoked", now, ({ credentials }) => {
      return credentials.secret === undefined && credentials.username === username;
    });
  }

  /** From now on new allocations are refused with 508, or 300 where alternate servers are configured. */
  handleDrain(_now: Instant): void {
    this.#state.draining = true;
  }

  /** Ends every allocation. */
  close(now: Instant): void {
    const state = this.#state;
    state.draining = true;
    state.lookups.clear();
    this.#endWhere("shutdown", now, () => true);
    for (const reservation of [...state.reservations]) removeReservation(state, reservation);
  }

  #endWhere(reason: EndReason, now: Instant, matches: (allocation: Allocation) => boolean): void {
    for (const allocation of this.#state.clients.all()) {
      if (matches(allocation)) endAllocation(this.#state, allocation, reason, now);
    }
  }

  pollOutput(): TurnServerOutput | undefined {
    return this.#state.outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#state.deadlines.next;
  }

  handleTimeout(now: Instant): void {
    const { deadlines } = this.#state;
    for (let item = deadlines.popDue(now); item !== undefined; item = deadlines.popDue(now)) this.#expire(item, now);
  }

  #expire(item: Expiring, now: Instant): void {
    const state = this.#state;
    if (item.kind === "permission") removePermission(state, item);
    else if (item.kind === "channel") removeChannel(state, item);
    else if (item.kind === "reservation") removeReservation(state, item);
    else if (item.kind === "claim") giveUpClaim(state, item, now);
    else if (item.allocation !== undefined) endRelay(state, item, expiryReason(item.allocation, now), now);
  }
}
