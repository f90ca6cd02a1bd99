/** RFC 3261 §17.1.1.1, Table 4: all in milliseconds. */

/** An estimate of the round trip. */
export const T1 = 500;
/** The longest interval between repetitions of what is no INVITE. */
export const T2 = 4_000;
/** How long a message may stay in the network. */
export const T4 = 5_000;
/** Timers B, D, F, H, J, L and M: longer than the other side repeats anything. */
export const LONGEST: number = 64 * T1;
