import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { requireForeign } from "../../support/peers.ts";
import { datapathCompliance } from "./compliance.ts";

datapathCompliance("mmsg", () => new MmsgDatapath(), requireForeign());
