/** Names in `external-address` become addresses, at start and every now and then. */
import { lookup } from "node:dns/promises";
import { type Address, type Family, formatIp, parseIp } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import { localAddressToward } from "../node/local-address.ts";
import type { ExternalAddress } from "./config/address-kinds.ts";

export interface ResolvedExternal {
  /** Undefined: of the address in use in this family. */
  readonly bound: Readonly<Address> | undefined;
  readonly advertised: Readonly<Address>;
}

/** A host name's addresses; rejects when there is none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

const resolveByHost: Resolve = async (name) => (await lookup(name, { all: true })).map(({ address }) => address);

/** A name alone gives one address of each family. Rejects with `PosternError` `external-unresolved`. */
export async function resolveExternal(
  external: readonly ExternalAddress[],
  resolve: Resolve = resolveByHost,
): Promise<ResolvedExternal[]> {
  const found = await Promise.all(external.map((one) => resolveOne(one, resolve)));
  return found.flat();
}

async function resolveOne({ bound, advertised }: ExternalAddress, resolve: Resolve): Promise<ResolvedExternal[]> {
  if (typeof advertised !== "string") return [{ bound, advertised }];
  const texts = await resolve(advertised).catch((cause: Error) => Promise.reject(unresolved(advertised, cause)));
  // Sorted, because resolvers rotate what they answer, and a rotation is no change.
  const addresses = texts.toSorted().flatMap((text) => parseIp(text) ?? []);
  const families: readonly Family[] = bound === undefined ? [4, 6] : [bound.family];
  const first = families.flatMap((family) => addresses.find((one) => one.family === family) ?? []);
  if (first.length === 0) throw unresolved(advertised);
  return first.map((one) => ({ bound, advertised: one }));
}

function unresolved(name: string, cause?: Error): PosternError {
  const why = cause === undefined ? "it has no address of that family" : cause.message;
  const sentence = `external-address ${name} cannot be looked up: ${why}. Correct it, or give an IP address.`;
  return new PosternError("external-unresolved", sentence, { cause });
}

export function sameExternal(a: readonly ResolvedExternal[], b: readonly ResolvedExternal[]): boolean {
  const text = (all: readonly ResolvedExternal[]) =>
    all.map(({ bound, advertised }) => `${bound && formatIp(bound)}=${formatIp(advertised)}`).join();
  return text(a) === text(b);
}

const somewhere = ["192.0.2.1", "2001:db8::1"] as const;

/** The addresses from which this host would send to the Internet. */
export async function routedAddresses(): Promise<Address[]> {
  const found = await Promise.all(somewhere.map((text) => localAddressToward(parseIp(text, 9) as Address)));
  return found.flatMap((address) => address ?? []);
}
