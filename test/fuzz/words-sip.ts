/** Pieces of the grammar (RFC 3261 §25.1) that a fuzzer would need long to find. */
export const sipWords: readonly Buffer[] = [
  'INVITE', 'ACK', 'REGISTER', 'CANCEL', 'SIP/2.0', 'sip/2.0', 'SIP/3.0', ' SIP/2.0\r\n', 'SIP/2.0 200 OK\r\n', 'SIP/2.0/UDP ',
  'SIP / 2.0 / TCP ', '\r\n', '\r\n\r\n', '\r\n ', '\r\n\t', '\r', '\n', ' ', '\t', ':', ': ', ' : ', ',', ', ', ';', ';;', '=',
  '"', '"<', '\\', '\\"', '""', '<', '>', '<>', '*', '%', '%00', '%0D%0A', '%41', '%2', '@', '?', '&', '[', ']', '[::1]',
  '[2001:db8::1]:5060', '127.0.0.1', ':5060', ':65536', ':0', 'sip:', 'sips:', 'tel:+1', 'urn:service:sos', 'sip:a@b', '<sip:a@b;lr>',
  ';lr', ';tag=1', ';TAG=', ';branch=z9hG4bK', ';rport', ';received=', ';transport=tcp', ';method=', ';q=0.5', ';expires=60',
  ';+sip.instance="<urn:uuid:1>"', ';boundary=b', ';handling=optional', 'From', 'f:', 'To', 't:', 'Via', 'v:', 'Call-ID', 'i:',
  'CSeq: 1 INVITE\r\n', 'Contact: ', 'm: *\r\n', 'Max-Forwards: 0\r\n', 'Content-Length: ', 'l: 0\r\n', 'Content-Length: 5\r\n',
  'Content-Type: multipart/mixed;boundary=b\r\n', 'Content-Type: ', 'Content-Disposition: ', 'Route: ', 'Record-Route: ', 'Path: ',
  'Reason: ', 'Warning: ', 'Date: ', 'Event: ', 'Subscription-State: ', 'Session-Expires: ', 'Min-SE: ', 'RAck: ', 'RSeq: ',
  'Replaces: ', 'Refer-To: ', 'Retry-After: ', 'Accept: ', 'Require: ', 'Proxy-Require: ', 'Expires: ', 'Authorization: Digest ',
  'WWW-Authenticate: Digest ', '--b\r\n', '\r\n--b--', '\r\n--b\r\n\r\n', '0', '-1', '2147483647', '2147483648', '4294967295',
  '4294967296', '99999999999999999999', '\u00e9', '\u20ac', '\ufeff', '\0', '\u0085', '\u00a0', '__proto__', 'constructor',
].map((word) => Buffer.from(word, 'utf8')); // prettier-ignore
