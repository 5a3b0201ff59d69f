import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { answered, freePort, spawnServer, type RunningServer } from './server.js';

/**
 * The floor of any SIP server in Node.js: a UDP socket that answers every request with a 200 made of the
 * request's own header lines. It parses nothing, stores nothing, checks nothing.
 */
export async function startBareNode(): Promise<RunningServer> {
  const port = await freePort();
  const bare = spawnServer(process.execPath, [fileURLToPath(import.meta.url), String(port)]);
  await bare.until(answered(port));
  return {
    name: 'bare Node.js socket',
    port,
    processes: () => [bare.pid],
    stop: () => bare.stop(),
  };
}

const COPIED = /^(?:Via|From|Call-ID|CSeq): /;
const GRUUS =
  'pub-gruu="sip:user@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e";temp-gruu="sip:tgruu.ULEAyV-jd3FOc1r86-T0v0VVsyw3wfd@ims.test;gr"';

function answer(request: string): string {
  let response = 'SIP/2.0 200 OK\r\n';
  for (const line of request.split('\r\n')) {
    if (COPIED.test(line)) response += `${line}\r\n`;
    else if (line.startsWith('To: ')) response += `${line};tag=bare\r\n`;
    else if (line.startsWith('Contact: ')) response += `${line};${GRUUS}\r\n`;
  }
  return `${response}Content-Length: 0\r\n\r\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const socket = createSocket({
    type: 'udp4',
    recvBufferSize: 4 << 20,
    // the default one defers every send to the next tick, for addresses that need no resolving too
    lookup: (hostname, _options, callback) => callback(null, hostname, 4),
  });
  socket.on('message', (message, { port, address }) => {
    socket.send(Buffer.from(answer(message.toString('latin1')), 'latin1'), port, address);
  });
  socket.bind(Number(process.argv[2]), '127.0.0.1');
}
