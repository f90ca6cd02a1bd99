/**
 * What is sent in a cell: a home of two hosts behind NATs, a server with two addresses and two ports, and a stranger. The
 * same script is played in natlab and in the lab's namespaces, and what is heard must be the same.
 *
 *    one:5000 > s11                from a socket of host `one` to the server's first address and port
 *    s22 > one:5000@s11            from its second address and port to where s11 last saw that socket
 *    stranger > nat:5000           to that port of the outermost NAT
 *    one:5000 > inside two:5000    to the other's inside address
 *    wait 0.5                      for half of the time after which a NAT forgets
 */
import { serverAddresses } from "../../src/lab/topology.ts";

/** Sockets outside, by name: address and port. The stranger's address is its host's. */
export const outside = {
  s11: [serverAddresses[0], 3478],
  s12: [serverAddresses[0], 3479],
  s21: [serverAddresses[1], 3478],
  s22: [serverAddresses[1], 3479],
} as const;
export const strangerPort = 4000;

/** Which destinations share a mapping, and that two hosts with one local port do not disturb each other. */
const mapping = `
  one:5000 > s11
  one:5000 > s12
  one:5000 > s21
  one:5000 > s22
  one:5000 > stranger
  one:5000 > s11
  one:5002 > s11
  one:5004 > s21
  two:5000 > s11
  two:5000 > s22
  s11 > one:5000@s11
  s11 > two:5000@s11
  s22 > two:5000@s22
  s22 > one:5000@s22
`;

/** Who is let in, before and after it was sent to; and that nobody takes a port away by knocking. */
export const filtering = `
  stranger > nat:5100
  one:5100 > s11
  s11 > one:5100@s11
  s12 > one:5100@s11
  s21 > one:5100@s11
  s22 > one:5100@s11
  stranger > one:5100@s11
  one:5100 > s22
  s22 > one:5100@s11
  s21 > one:5100@s11
  stranger > one:5100@s11
  s11 > one:5100@s22
  s21 > one:5100@s22
  s22 > one:5100@s22
  one:5100 > stranger
  stranger > one:5100@stranger
  stranger > one:5100@s11
  stranger > nat:5998
  s12 > nat:5100
`;

/** To each other's outside address, to the own one, and from a socket that has none yet. */
const hairpin = `
  one:5200 > s11
  two:5202 > s11
  one:5200 > two:5202@s11
  two:5202 > one:5200@s11
  one:5200 > two:5202@s11
  two:5202 > one:5200@two:5202
  one:5200 > one:5200@s11
  one:5204 > one:5200@s11
  one:5200 > one:5204@one:5200
  s11 > one:5200@s11
  s21 > two:5202@s11
  one:5200 > inside two:5202
  two:5202 > one:5200@two:5202
`;

/** What keeps a mapping and its filter, each from either side, and what is left of those that nothing kept. */
const silence = `
  one:5300 > s11
  one:5302 > s11
  one:5304 > s11
  one:5304 > s21
  two:5306 > s11
  one:5308 > s11
  one:5308 > s12
  wait 0.5
  s11 > one:5300@s11
  one:5308 > s11
  one:5304 > s21
  two:5306 > s11
  wait 0.75
  s11 > one:5300@s11
  s11 > one:5302@s11
  s11 > one:5304@s11
  s21 > one:5304@s21
  s11 > two:5306@s11
  s11 > one:5308@s11
  s12 > one:5308@s12
  one:5304 > s11
  one:5302 > s11
  s11 > one:5302@s11
  wait 1.5
  s11 > one:5300@s11
  s21 > one:5304@s21
  s11 > one:5304@s11
  stranger > two:5306@s11
  one:5300 > s11
  s11 > one:5300@s11
`;

/** Two hosts with one local port who speak through their NAT, and whose mappings nothing else keeps. */
export const pair = `
  one:5400 > s11
  two:5400 > s11
  one:5400 > two:5400@s11
  two:5400 > one:5400@s11
  two:5400 > one:5400@two:5400
  one:5400 > two:5400@one:5400
  one:5402 > two:5400@s11
  two:5400 > one:5402@two:5400
  stranger > one:5402@two:5400
  one:5410 > s11
  two:5412 > s11
  one:5410 > two:5412@s11
  two:5412 > one:5410@s11
  wait 0.6
  one:5410 > two:5412@s11
  wait 0.6
  two:5412 > one:5410@s11
  stranger > one:5410@s11
  s11 > two:5412@s11
  wait 1.5
  two:5412 > one:5410@s11
  s11 > two:5412@s11
  one:5410 > s11
  two:5412 > one:5410@s11
  one:5410 > two:5412@one:5410
  s11 > two:5412@one:5410
`;

/** Two hosts with one local port who begin at different places. */
export const samePort = `
  one:5500 > s11
  two:5500 > s21
  s11 > one:5500@s11
  s21 > two:5500@s21
  stranger > two:5500@s21
  two:5500 > s11
  one:5500 > s21
`;

export const everything: string = mapping + filtering + hairpin + silence;

/** The sockets of hosts inside, each a host and a port. */
export function insideSockets(script: string): string[] {
  return [...new Set(script.match(/\b(?:one|two):\d+/g))];
}
