import { parseDatagram } from '../../src/sip/message/parse.js';
import { SipRequest, type SipResponse } from '../../src/sip/message/message.js';
import type { SendOptions, ServerRequest, ServerResponse, Source } from '../../src/sip/stack.js';

export const udpSource: Source = {
  protocol: 'udp',
  address: '127.0.0.1',
  port: 5070,
  localAddress: '127.0.0.1',
  localPort: 5060,
  flow: 'udp|127.0.0.1:5060|127.0.0.1:5070',
};

class FakeServerRequest extends SipRequest implements ServerRequest {
  readonly source: Source;
  readonly ownRoute = undefined;
  readonly recordRouted = false;
  readonly fromNode = false;
  readonly routeFlow = undefined;

  constructor(request: SipRequest, source: Source) {
    super(request.method, request.uri, request.headers, request.body, request.charset);
    this.source = source;
  }

  onCancel(): void {}
}

/** A request as the stack would hand it over, from its lines; Via, Max-Forwards, Call-ID and so on are filled in when absent. */
export function serverRequest(
  startLine: string,
  headers: Record<string, string | string[]>,
  source: Source = udpSource,
): ServerRequest {
  const method = startLine.split(' ')[0]!;
  const all: Record<string, string | string[]> = {
    Via: `SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK${Math.random()}`,
    'Max-Forwards': '70',
    From: '<sip:alice@ims.test>;tag=1',
    To: '<sip:alice@ims.test>',
    'Call-ID': 'call-1',
    CSeq: `1 ${method}`,
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    [value].flat().map((line) => `${name}: ${line}`),
  );
  const parsed = parseDatagram(Buffer.from([startLine, ...lines, '', ''].join('\r\n')));
  if (parsed.kind !== 'request') throw new Error(`fixture is not a request: ${JSON.stringify(parsed)}`);
  return new FakeServerRequest(parsed.message, source);
}

/** Keeps what was answered. */
export class RecordedResponse implements ServerResponse {
  readonly tag = 'recorded';
  readonly sent: { status: number; options: SendOptions }[] = [];
  forwarded: SipResponse | undefined;

  get finalStatus(): number | undefined {
    return this.sent.find(({ status }) => status >= 200)?.status;
  }

  send(status: number, options: SendOptions = {}): boolean {
    if (this.finalStatus !== undefined) return false;
    this.sent.push({ status, options });
    return true;
  }

  onSend(): void {}

  /** The lines of a header field of the final response. */
  lines(name: string): string[] {
    const value = this.sent.at(-1)?.options.headers?.[name];
    return value === undefined ? [] : typeof value === 'object' ? [...value] : [String(value)];
  }
}
