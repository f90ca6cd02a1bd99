/** Names for a network of the lab: `node name-server.ts ADDRESS ZONE`, the zone as JSON. */
import { NameServer, type NameZone } from "../../support/name-server.ts";

const [address = "127.0.0.1", zone = "{}"] = process.argv.slice(2);
await NameServer.open(JSON.parse(zone) as NameZone, address, 53);
