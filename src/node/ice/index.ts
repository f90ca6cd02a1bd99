/** `postern/ice-connection`: two programs connected over the best path that the networks between them allow. */
export { formatAddress } from "../../core/base/address.ts";
export type { Candidate } from "../../core/ice/candidate.ts";
export type { IceRole } from "../../core/ice/config.ts";
export type { IceEvent, IceState, Path } from "../../core/ice/outputs.ts";
export type { Reason } from "../../core/ice/reasons.ts";
export type { IceReport } from "../../core/ice/report.ts";
export { IceConnection } from "./ice-connection.ts";
export type { IceConnectionOptions, IceServer, OnIceData } from "./options.ts";
