/** Where connectionless push goes: from the WSP port 9200 to the push port 2948. */
export const pushPorts = { to: 2948, from: 9200 } as const;

const PUSH = 0x06;
/** `application/vnd.wv.csp.cir`, 0x46 among the well-known types, as short integer. */
const CONTENT_TYPE = 0xc6;
/** `X-Wap-Application-Id: x-wap-application:wv.ua`, header and 0x0A as short integers. */
const APPLICATION_ID = [0xaf, 0x8a];

/** A connectionless push PDU of WSP (WAP-230 §8.2.4.1) with a CIR text. */
export function pushPdu(text: string, transaction: number): Buffer {
  const headers = [CONTENT_TYPE, ...APPLICATION_ID];
  return Buffer.concat([
    Uint8Array.of(transaction & 0xff, PUSH, headers.length, ...headers),
    Buffer.from(text, 'latin1'),
  ]);
}
