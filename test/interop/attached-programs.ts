/** Prints how many programs see what comes in on an interface, given by number (BPF_PROG_QUERY). */
import { bpf, bpfAttributes } from "../../src/node/sys/bpf.ts";

const BPF_PROG_QUERY = 16;
const BPF_TCX_INGRESS = 46;

const attributes = bpfAttributes();
attributes.u32[0] = Number(process.argv[2]);
attributes.u32[1] = BPF_TCX_INGRESS;
const result = bpf(BPF_PROG_QUERY, attributes);
if (result < 0) throw new Error(`bpf(BPF_PROG_QUERY): errno ${-result}`);
process.stdout.write(String(attributes.u32[6]));
