/** The two messages of a TLS handshake that everybody can read (RFC 8446 §4.1), as far as tools and middleboxes look. */
import { concatBytes, readU16, writeU16 } from "../../core/base/bytes.ts";
import { decodeUtf8, encodeUtf8 } from "../../core/base/utf8.ts";

const [CLIENT_HELLO, SERVER_HELLO] = [1, 2];
const [SERVER_NAME, SUPPORTED_VERSIONS] = [0, 43];
const TLS_AES_128_GCM_SHA256 = Uint8Array.of(0x13, 0x01);
const RANDOM = 32;

/** `bytes` behind their length, in one byte, two or three. */
function vector(lengthBytes: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...parts);
  const length = Uint8Array.of(body.length >>> 16, body.length >>> 8, body.length);
  return concatBytes(length.subarray(3 - lengthBytes), body);
}

function u16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  writeU16(bytes, 0, value);
  return bytes;
}

function extension(type: number, body: Uint8Array): Uint8Array {
  return concatBytes(u16(type), vector(2, body));
}

function handshake(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(Uint8Array.of(type), vector(3, ...parts));
}

export function encodeClientHello(random: Uint8Array, session: Uint8Array, serverName: string | undefined): Uint8Array {
  // RFC 6066 §3: one name, of type 0.
  const name = serverName === undefined ? undefined : vector(2, Uint8Array.of(0), vector(2, encodeUtf8(serverName)));
  const extensions = [
    ...(name === undefined ? [] : [extension(SERVER_NAME, name)]),
    extension(SUPPORTED_VERSIONS, vector(1, u16(0x0304))),
  ];
  const suites = vector(2, TLS_AES_128_GCM_SHA256);
  const compression = vector(1, Uint8Array.of(0));
  return handshake(
    CLIENT_HELLO,
    u16(0x0303),
    random,
    vector(1, session),
    suites,
    compression,
    vector(2, ...extensions),
  );
}

export function encodeServerHello(random: Uint8Array, session: Uint8Array): Uint8Array {
  const versions = extension(SUPPORTED_VERSIONS, u16(0x0304));
  return handshake(
    SERVER_HELLO,
    u16(0x0303),
    random,
    vector(1, session),
    TLS_AES_128_GCM_SHA256,
    Uint8Array.of(0),
    vector(2, versions),
  );
}

export interface Hello {
  readonly isClient: boolean;
  readonly random: Uint8Array;
  readonly session: Uint8Array;
  /** The name that a client asks for. */
  readonly serverName: string | undefined;
}

/** Undefined for what is no hello, or is cut short. */
export function decodeHello(message: Uint8Array): Hello | undefined {
  const type = message[0];
  if (type !== CLIENT_HELLO && type !== SERVER_HELLO) return undefined;
  const sessionAt = 6 + RANDOM;
  const sessionEnd = sessionAt + 1 + (message[sessionAt] ?? 0);
  if (message.length < sessionEnd + 2 || message.length !== 4 + readU16(message, 2)) return undefined;
  return {
    isClient: type === CLIENT_HELLO,
    random: message.subarray(6, sessionAt),
    session: message.subarray(sessionAt + 1, sessionEnd),
    serverName: type === CLIENT_HELLO ? serverNameIn(message, sessionEnd) : undefined,
  };
}

/** Looks through the extensions, behind the cipher suites at `at` and the compression methods. */
function serverNameIn(message: Uint8Array, suitesAt: number): string | undefined {
  const compressionAt = suitesAt + 2 + readU16(message, suitesAt);
  let at = compressionAt + 1 + (message[compressionAt] ?? 0) + 2;
  while (at + 4 <= message.length) {
    const length = readU16(message, at + 2);
    // In front of the name: the length of the list, a type, and the length of the name.
    if (readU16(message, at) === SERVER_NAME) return decodeUtf8(message.subarray(at + 9, at + 4 + length));
    at += 4 + length;
  }
  return undefined;
}
