// npx tsc -p bench/micro && node dist/micro/bench/micro/identity.js
import { parseAor } from '../../src/identity/aor.js';
import { GrValues, parseGruu, publicGruu } from '../../src/identity/gruu.js';
import { InstanceId } from '../../src/identity/instance-id.js';
import { TemporaryGruuCodec } from '../../src/identity/temporary-gruu.js';
import { measure } from './measure.js';

const grValues = new GrValues('3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40');
const codec = new TemporaryGruuCodec(Buffer.alloc(16, 1));
const alice = parseAor('sip:alice@ims.test');
const instance = InstanceId.parse('<urn:gsma:imei:35824005-111111-0>');
const minted = codec.mint({ index: 1, generation: 0 });
const gruu = publicGruu(alice, grValues.of(instance));

measure('parse an address of record', (run) => parseAor(`sip:user${run % 1000}@ims.test`));
measure('parse an instance ID, UUID', (run) =>
  InstanceId.parse(`<urn:uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b${1000 + (run % 9000)}>`),
);
measure('parse an instance ID, IMEI', (run) =>
  InstanceId.parse(`<urn:gsma:imei:35824005-${100000 + (run % 900000)}-0>`),
);
measure('hide an IMEI in a gr value', () => grValues.of(instance));
measure('take a public GRUU apart', () => parseGruu(gruu));
measure('mint a temporary GRUU', (run) => codec.mint({ index: run, generation: 0 }));
measure('open a temporary GRUU', () => codec.open(minted));
