import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import { akaHa1, usimAnswer, type AkaSecret } from '../../src/sip/auth/aka.js';
import { digestAlgorithm, digestHa1 } from '../../src/sip/auth/algorithm.js';
import { parseChallenge } from '../../src/sip/auth/challenge.js';
import { writeCredentials, type DigestCredentials } from '../../src/sip/auth/credentials.js';
import { digestResponse } from '../../src/sip/auth/digest.js';
import { UsimSequence } from '../../src/sip/auth/sqn.js';

/** Test set 3 of 3GPP TS 35.208, in hex, with the AMF of set 1: none of the octets means something to SIPp. */
export const testKeys = {
  k: 'fec86ba6eb707ed08905757b1bb44b8f',
  op: 'dbc59adcb6f9a0ef735477b7fadf8374',
  opc: '1006020f0a478bf6b699f15c062e42b3',
  amf: 'b9b9',
} as const;

/** A USIM with a sequence array of its own, and the phone that writes its answers into REGISTERs. */
export class Usim {
  readonly sequence = new UsimSequence();
  readonly #username: string;
  readonly #realm: string;
  readonly #secret: AkaSecret;

  constructor(username: string, realm: string, keys: { k: string; opc: string; amf: string } = testKeys) {
    this.#username = username;
    this.#realm = realm;
    const of = (hex: string): Buffer => Buffer.from(hex, 'hex');
    this.#secret = { k: of(keys.k), opc: of(keys.opc), amf: of(keys.amf) };
  }

  /** The Authorization of a first REGISTER. @param more parameters that a P-CSCF adds. */
  hello(more = ''): HeaderMap {
    return {
      Authorization: `Digest username="${this.#username}", realm="${this.#realm}", nonce="", uri="sip:${this.#realm}", response=""${more}`,
    };
  }

  /** The Authorization that answers a challenge. @param nc how often its nonce has been answered. */
  answer(challenge: SipResponse, nc = 1, more = ''): HeaderMap {
    const line = challenge.headers.lines('WWW-Authenticate').find((text) => text.includes('AKA'));
    const { nonce, algorithm: token = '' } = parseChallenge(line ?? '')!;
    const algorithm = digestAlgorithm(token)!;
    const answer = usimAnswer(
      this.#secret,
      nonce,
      (sqn) => nc > 1 || this.sequence.accept(sqn),
      this.sequence.highest,
    );
    if (answer.kind === 'mac-failure') throw new Error('the network does not know the key');
    const credentials: DigestCredentials = {
      username: this.#username,
      realm: this.#realm,
      nonce,
      uri: `sip:${this.#realm}`,
      response: '',
      algorithm: token,
      cnonce: '0a4f113b',
      nc: nc.toString(16).padStart(8, '0'),
      qop: 'auth',
      opaque: undefined,
      auts: answer.kind === 'synchronisation-failure' ? answer.auts : undefined,
      integrityProtected: undefined,
    };
    const ha1 =
      answer.kind === 'answered'
        ? akaHa1(algorithm, this.#username, this.#realm, answer.keys)
        : digestHa1(algorithm.hash, this.#username, this.#realm, '');
    const response = digestResponse(algorithm, ha1, credentials, { method: 'REGISTER' });
    return { Authorization: writeCredentials({ ...credentials, response }) + more };
  }
}
