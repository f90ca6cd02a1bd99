/** Permissions (RFC 8656 §9, §10): one request for each address, so that a refusal says which it means. */
import { copyAddress, type PeerAddress } from "../../base/address.ts";
import { after, type Instant } from "../../base/machine.ts";
import { Attribute, Method } from "../../stun/registry.ts";
import type { Failure } from "./failure.ts";
import { loseIfGone } from "./loss.ts";
import { beginRequest, send } from "./requests.ts";
import type { ClientState, Permission } from "./state.ts";

/** RFC 8656 §9: a permission lives 300 s. A refresh that stays unanswered has 60 s to be repeated in. */
const REFRESH_MS = 240_000;

/** The permission for this address; made, and not asked for yet, where there is none. */
export function wantPermission(state: ClientState, peer: PeerAddress): Permission {
  const found = state.findPermission(peer);
  if (found !== undefined) return found;
  const permission: Permission = {
    kind: "permission",
    peer: { ...copyAddress(peer), port: 0 },
    granted: false,
    awaited: false,
    asking: false,
    deadline: 0 as Instant,
    heapIndex: -1,
  };
  state.permissions.push(permission);
  return permission;
}

export function permit(state: ClientState, peer: PeerAddress, now: Instant): void {
  const permission = wantPermission(state, peer);
  permission.awaited = true;
  if (permission.granted) tellGranted(state, permission);
  else if (state.phase === "live") askPermission(state, permission, 0, now);
}

function tellGranted(state: ClientState, permission: Permission): void {
  if (permission.awaited) state.tell({ type: "permission", peer: permission.peer, failure: undefined });
  permission.awaited = false;
}

/** No more refreshes: the server forgets it within five minutes. A channel of the same address keeps it alive. */
export function revoke(state: ClientState, peer: PeerAddress): void {
  const permission = state.findPermission(peer);
  if (permission === undefined) return;
  for (const channel of state.channels.values()) if (channel.wanted && channel.permission === permission) return;
  state.deadlines.clear(permission);
  state.permissions.splice(state.permissions.indexOf(permission), 1);
  permission.granted = false;
}

export function askPermission(state: ClientState, permission: Permission, challenges: number, now: Instant): void {
  if (permission.asking && challenges === 0) return;
  permission.asking = true;
  beginRequest(state, Method.CreatePermission).xorAddress(Attribute.XorPeerAddress, permission.peer);
  send(state, { kind: "permission", permission }, challenges, now);
}

/** The server has it, from now on. */
export function grant(state: ClientState, permission: Permission, now: Instant): void {
  permission.granted = true;
  state.deadlines.set(permission, after(now, REFRESH_MS));
  tellGranted(state, permission);
}

export function handlePermitted(state: ClientState, permission: Permission, now: Instant): void {
  permission.asking = false;
  if (state.permissions.includes(permission)) grant(state, permission, now);
}

export function handleNotPermitted(state: ClientState, permission: Permission, failure: Failure, now: Instant): void {
  permission.asking = false;
  if (loseIfGone(state, failure, now)) return;
  permission.granted = permission.awaited = false;
  state.deadlines.clear(permission);
  state.tell({ type: "permission", peer: permission.peer, failure });
}
