/** Which codecs two parties share (RFC 3264 §5.1, §6.1). */
import type { Codec } from "./description.ts";

/** RFC 8866 §6.6: names are compared without regard to case. Numbers are each side's own. */
export function isSameCodec(a: Codec, b: Codec): boolean {
  const isSameName = a.name.toLowerCase() === b.name.toLowerCase();
  return isSameName && a.clockRate === b.clockRate && a.channels === b.channels;
}

/** RFC 4733 §2, RFC 3389: they go beside a codec, and are none by themselves. */
export function isAuxiliary({ name }: Codec): boolean {
  const lower = name.toLowerCase();
  return lower === "telephone-event" || lower === "cn" || lower === "red" || lower === "rtx" || lower === "ulpfec";
}

/**
 * RFC 3264 §6.1: the codecs of an answer: those of the offer that we have, in the offer's order and by its numbers, with
 * what our own say of themselves. Empty where nothing but auxiliaries is shared.
 */
export function commonCodecs(offered: readonly Codec[], own: readonly Codec[]): Codec[] {
  const common = offered.flatMap((codec): Codec[] => {
    const ours = own.find((one) => isSameCodec(one, codec));
    return ours === undefined ? [] : [{ ...codec, parameters: ours.parameters }];
  });
  const rates = new Set(common.filter((codec) => !isAuxiliary(codec)).map(({ clockRate }) => clockRate));
  // RFC 4733 §2.1: events go by the clock of the sound beside them.
  return common.filter((codec) => !isAuxiliary(codec) || rates.has(codec.clockRate));
}
