/**
 * STUN methods, attributes and error codes in one table, checked against IANA's registries by a test.
 * Sources: RFC 8489, RFC 8656, RFC 8445, RFC 5780; RFC 3489 for the classic client.
 */

export const Method = {
  Binding: 0x001,
  Allocate: 0x003,
  Refresh: 0x004,
  Send: 0x006,
  Data: 0x007,
  CreatePermission: 0x008,
  ChannelBind: 0x009,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

export const MessageClass = { Request: 0, Indication: 1, Success: 2, Error: 3 } as const;
export type MessageClass = (typeof MessageClass)[keyof typeof MessageClass];

export const Attribute = {
  MappedAddress: 0x0001,
  /** RFC 3489's, kept for RFC 5780. */
  ChangeRequest: 0x0003,
  /** RFC 3489's: what RESPONSE-ORIGIN and OTHER-ADDRESS are to a classic client. */
  SourceAddress: 0x0004,
  ChangedAddress: 0x0005,
  Username: 0x0006,
  MessageIntegrity: 0x0008,
  ErrorCode: 0x0009,
  UnknownAttributes: 0x000a,
  ChannelNumber: 0x000c,
  Lifetime: 0x000d,
  XorPeerAddress: 0x0012,
  Data: 0x0013,
  Realm: 0x0014,
  Nonce: 0x0015,
  XorRelayedAddress: 0x0016,
  RequestedAddressFamily: 0x0017,
  EvenPort: 0x0018,
  RequestedTransport: 0x0019,
  DontFragment: 0x001a,
  MessageIntegritySha256: 0x001c,
  PasswordAlgorithm: 0x001d,
  Userhash: 0x001e,
  XorMappedAddress: 0x0020,
  ReservationToken: 0x0022,
  Priority: 0x0024,
  UseCandidate: 0x0025,
  Padding: 0x0026,
  ResponsePort: 0x0027,
  AdditionalAddressFamily: 0x8000,
  AddressErrorCode: 0x8001,
  PasswordAlgorithms: 0x8002,
  AlternateDomain: 0x8003,
  Icmp: 0x8004,
  Software: 0x8022,
  AlternateServer: 0x8023,
  Fingerprint: 0x8028,
  IceControlled: 0x8029,
  IceControlling: 0x802a,
  ResponseOrigin: 0x802b,
  OtherAddress: 0x802c,
} as const;
export type Attribute = (typeof Attribute)[keyof typeof Attribute];

export const ErrorCode = {
  TryAlternate: 300,
  BadRequest: 400,
  Unauthenticated: 401,
  Forbidden: 403,
  UnknownAttribute: 420,
  AllocationMismatch: 437,
  StaleNonce: 438,
  AddressFamilyNotSupported: 440,
  WrongCredentials: 441,
  UnsupportedTransportProtocol: 442,
  PeerAddressFamilyMismatch: 443,
  AllocationQuotaReached: 486,
  RoleConflict: 487,
  ServerError: 500,
  InsufficientCapacity: 508,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** RFC 8489 §14: types below 0x8000 must be understood for the message to be processed. */
export function isComprehensionRequired(type: number): boolean {
  return type < 0x8000;
}

/** RFC 5780 §7.2: the flags of CHANGE-REQUEST. */
export const ChangeFlag = { Port: 0x2, Ip: 0x4 } as const;

/** RFC 8656 §12: protocol number of UDP in REQUESTED-TRANSPORT. */
export const TRANSPORT_UDP = 17;

/** RFC 8656 §18.6, RFC 8489 §14.1: address family codes. */
export const FAMILY_IPV4 = 0x01;
export const FAMILY_IPV6 = 0x02;

export const PasswordAlgorithmNumber = { Md5: 0x0001, Sha256: 0x0002 } as const;
export type PasswordAlgorithmNumber = (typeof PasswordAlgorithmNumber)[keyof typeof PasswordAlgorithmNumber];

export const MAGIC_COOKIE = 0x2112a442;
export const HEADER_LENGTH = 20;
