/** Prints, as JSON, whether this process gets a datapath with offload, and why not. */
import { createDatapath, withOffload } from "../../../../src/node/datapath/choice.ts";

const { datapath, because } = withOffload(createDatapath("dgram"), () => {});
process.stdout.write(JSON.stringify({ isThere: datapath.offloaded !== undefined, because: String(because) }));
await datapath.close();
