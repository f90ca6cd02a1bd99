/** What sdp-transform reads in a description: it keeps less than we do, but what it reads, it reads by itself. */
// @ts-expect-error: it brings no types
import transform from "sdp-transform";

export interface OracleMedia {
  readonly type: string;
  readonly port: number;
  readonly protocol: string;
  readonly payloads: string | number;
  readonly direction?: string;
  readonly connection?: { readonly version: number; readonly ip: string };
  readonly rtcp?: { readonly port: number; readonly ipVer?: number; readonly address?: string };
  readonly rtcpMux?: string;
  readonly ptime?: number;
  readonly rtp: readonly {
    readonly payload: number;
    readonly codec: string;
    readonly rate: number;
    readonly encoding?: string | number;
  }[];
  readonly fmtp: readonly { readonly payload: number; readonly config: string }[];
  readonly crypto?: readonly { readonly id: number; readonly suite: string; readonly config: string }[];
  readonly candidates?: readonly { readonly ip: string; readonly port: number; readonly transport: string }[];
  readonly iceUfrag?: string;
  readonly setup?: string;
}

export interface OracleSession {
  readonly connection?: { readonly version: number; readonly ip: string };
  readonly direction?: string;
  readonly fingerprint?: { readonly type: string; readonly hash: string };
  readonly media: readonly OracleMedia[];
}

interface SdpTransform {
  parse(text: string): OracleSession;
  write(session: OracleSession): string;
}

export const oracle: SdpTransform = transform;
