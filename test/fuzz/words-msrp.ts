/** Pieces of the grammars (RFC 4975 §9, RFC 4976 §7, RFC 3862 §3, RFC 8866) that a fuzzer would need long to find. */
export const msrpWords: readonly Buffer[] = [
  'MSRP t0000001 SEND\r\n', 'MSRP t0000002 REPORT\r\n', 'MSRP t0000003 AUTH\r\n', 'MSRP t0000004 NICKNAME\r\n', 'MSRP t0000005 200 OK\r\n',
  'MSRP ', ' SEND', ' REPORT', ' AUTH', '\r\n-------t0000001$\r\n', '\r\n-------t0000001+\r\n', '\r\n-------t0000001#\r\n', '-------', '$\r\n', '+\r\n',
  '#\r\n', '\r\n', '\r\n\r\n', '\r', '\n', ' ', '\t', ':', ': ', ';', '/', '*', '\0', '\0\0',
  'To-Path: ', 'From-Path: ', 'Message-ID: m1\r\n', 'Message-ID: m2\r\n', 'Byte-Range: 1-*/*\r\n', 'Byte-Range: 1-3/6\r\n', 'Byte-Range: 4-6/6\r\n',
  'Byte-Range: 1-0/0\r\n', 'Byte-Range: 999999999999999-*/*\r\n', 'Byte-Range: ', 'Success-Report: yes\r\n', 'Success-Report: no\r\n',
  'Failure-Report: yes\r\n', 'Failure-Report: no\r\n', 'Failure-Report: partial\r\n', 'Status: 000 200 OK\r\n', 'Status: 000 413 Stop\r\n', 'Status: 001 ',
  'Content-Type: text/plain\r\n', 'Content-Type: message/cpim\r\n', 'Use-Nickname: "x"\r\n', 'Expires: 60\r\n', 'Expires: ', 'Authorization: Digest ',
  'msrp://127.0.0.1:2855/holds;tcp', 'msrp://127.0.0.1:2855/streams;tcp', 'msrp://127.0.0.1:2855/left;tcp', 'msrp://127.0.0.1:2855/right;tcp',
  'msrps://relay.test:2855/lease;tcp', 'msrps://relay.test;tcp', 'msrp://peer.test:9/one;tcp', 'msrp://peer.test:9/two;tcp', 'msrp://[::1]:1/x;ws',
  ';tcp', ';ws', ':0', ':65536', '%41', '@', 'http://x/',
  'From: <sip:a@b>\r\n', 'To: "x" <im:b@c>\r\n', 'NS: imdn <urn:ietf:params:imdn>\r\n', 'NS: <urn:x>\r\n', 'imdn.Message-ID: 1\r\n', 'DateTime: 2000-01-01T00:00:00Z\r\n',
  'Subject:;lang=fr x\r\n', '\\u0041', '\\', 'Content-Length: 3\r\n', 'Content-type: Message/CPIM\r\n',
  'v=0\r\n', 'm=message 9 TCP/MSRP *\r\n', 'm=message 0 TCP/TLS/MSRP *\r\n', 'm=audio 9 RTP/AVP 0\r\n', 'a=path:', 'a=setup:holdconn\r\n', 'a=setup:active\r\n',
  'a=msrp-cema\r\n', 'a=accept-types:*\r\n', 'a=max-size:99\r\n', 'a=fingerprint:SHA-1 00\r\n', 'c=IN IP6 ::1\r\n', 'i=x\r\n', 'a=file-selector:name:"x" size:1\r\n',
  '0', '-1', '9007199254740993', '99999999999999999999', '\u00e9', '\u20ac', '\ufeff', '__proto__', 'constructor',
].map((word) => Buffer.from(word, 'utf8')); // prettier-ignore
