/** What ICE and the meeting are given of the servers that the user names. */
import type { IceServer } from "../../../node/ice/options.ts";
import type { Asked } from "../login.ts";

export interface TurnLogin {
  readonly url: string;
  readonly username: string;
  readonly credential: string;
}

const isTurn = (uri: string): boolean => /^turns?:/i.test(uri);

/** Every way to the TURN servers that there are credentials for, in the order in which they are to be tried. */
export function turnLogins(asked: readonly Asked[]): TurnLogin[] {
  return asked.flatMap(({ uri, login }) => {
    if (login === undefined || !isTurn(uri)) return [];
    const { username, password } = login;
    return [...overUdpAndTcp(uri)].map((url) => ({ url, username, credential: password.reveal() }));
  });
}

/** RFC 7065 §3.1: who names no transport leaves the choice to us; where UDP is blocked it is TCP. */
function overUdpAndTcp(uri: string): string[] {
  if (!/^turn:/i.test(uri) || uri.includes("?")) return [uri];
  return [uri, `${uri}?transport=tcp`];
}

/** A TURN server answers as a STUN server does also where there are no credentials for it. */
export function iceServersOf(asked: readonly Asked[]): IceServer[] {
  const stun = asked.flatMap(({ uri, login }): IceServer[] => {
    if (/^stun:/i.test(uri)) return [{ urls: uri }];
    const isOfUse = /^turn:/i.test(uri) && !/transport=tcp/i.test(uri) && login === undefined;
    return isOfUse ? [{ urls: uri.replace(/^turn:/i, "stun:").replace(/\?.*$/, "") }] : [];
  });
  return [...stun, ...turnLogins(asked).map(({ url, ...login }) => ({ urls: url, ...login }))];
}
