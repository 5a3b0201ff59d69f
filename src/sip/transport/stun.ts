import { isIPv4 } from 'node:net';

/** RFC 5389 §6. */
const MAGIC = 0x2112_a442;
const HEADER_BYTES = 20;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const BINDING_ERROR = 0x0111;
const ERROR_CODE = 0x0009;
const UNKNOWN_ATTRIBUTES = 0x000a;
const XOR_MAPPED_ADDRESS = 0x0020;
/** Attributes below 0x8000 must be understood; of these nothing is needed for a keep-alive: MAPPED-ADDRESS, USERNAME, MESSAGE-INTEGRITY, REALM, NONCE. */
const understood = new Set([0x0001, 0x0006, 0x0008, 0x0014, 0x0015, XOR_MAPPED_ADDRESS]);

/** Whether a datagram is STUN and not SIP: two zero bits first, and the magic cookie. */
export function isStun(data: Buffer): boolean {
  return data[0]! < 4 && data.length >= HEADER_BYTES && data.readUInt32BE(4) === MAGIC;
}

/**
 * The answer to a Binding request that keeps a UDP flow alive (RFC 5626 §4.4.2, §8; RFC 5389 §7.3.1), which tells
 * the client the address it is seen under. Undefined for anything else: indications, responses, broken ones.
 */
export function answerStun(data: Buffer, address: string, port: number): Buffer | undefined {
  const unknown = data.readUInt16BE(0) === BINDING_REQUEST ? unknownAttributes(data) : undefined;
  if (!unknown) return undefined;
  return unknown.length > 0 ? refuse(data, unknown) : succeed(data, address, port);
}

/** Attributes that the server would have to understand and does not; undefined when the message is broken. */
function unknownAttributes(data: Buffer): number[] | undefined {
  if (data.readUInt16BE(2) !== data.length - HEADER_BYTES) return undefined;
  const unknown: number[] = [];
  let pos = HEADER_BYTES;
  while (pos < data.length) {
    if (pos + 4 > data.length) return undefined;
    const type = data.readUInt16BE(pos);
    const length = data.readUInt16BE(pos + 2);
    if (type < 0x8000 && !understood.has(type)) unknown.push(type);
    pos += 4 + ((length + 3) & ~3); // padded to 32 bits (RFC 5389 §15)
  }
  return pos === data.length ? unknown : undefined;
}

function succeed(request: Buffer, address: string, port: number): Buffer {
  const octets = addressOctets(address);
  const answer = reply(request, BINDING_SUCCESS, 8 + octets.length);
  answer.writeUInt16BE(XOR_MAPPED_ADDRESS, 20);
  answer.writeUInt16BE(4 + octets.length, 22);
  answer.writeUInt16BE(octets.length === 4 ? 0x01 : 0x02, 24);
  answer.writeUInt16BE(port ^ (MAGIC >>> 16), 26);
  // RFC 5389 §15.2: the address is XORed with cookie and transaction ID, which lie behind each other
  for (let i = 0; i < octets.length; i++) answer[28 + i] = octets[i]! ^ answer[4 + i]!;
  return answer;
}

function refuse(request: Buffer, unknown: readonly number[]): Buffer {
  const listBytes = (unknown.length * 2 + 3) & ~3;
  const answer = reply(request, BINDING_ERROR, 8 + 4 + listBytes);
  answer.writeUInt16BE(ERROR_CODE, 20);
  answer.writeUInt16BE(4, 22);
  answer.writeUInt16BE(0x0414, 26); // class 4, number 20: 420 Unknown Attribute
  answer.writeUInt16BE(UNKNOWN_ATTRIBUTES, 28);
  answer.writeUInt16BE(unknown.length * 2, 30);
  unknown.forEach((type, index) => answer.writeUInt16BE(type, 32 + index * 2));
  return answer;
}

function reply(request: Buffer, type: number, attributeBytes: number): Buffer {
  const answer = Buffer.alloc(HEADER_BYTES + attributeBytes);
  request.copy(answer, 0, 0, HEADER_BYTES);
  answer.writeUInt16BE(type, 0);
  answer.writeUInt16BE(attributeBytes, 2);
  return answer;
}

/** The 4 or 16 octets of a numeric address; a zone index is left out. */
export function addressOctets(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const octets = Buffer.alloc(16);
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const left = groups(head);
  const right = groups(tail ?? '');
  left.forEach((group, index) => octets.writeUInt16BE(group, index * 2));
  right.forEach((group, index) => octets.writeUInt16BE(group, 16 - (right.length - index) * 2));
  return octets;
}

/** The 16-bit groups of part of an IPv6 address; a dotted quad at its end gives two. */
function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
