import { ParleyError } from '../../base/errors.js';
import { formatCpim, parseCpim, type CpimParts } from '../../msrp/cpim/index.js';

/** What is said of a message beside its octets. */
export interface RecordedMessage {
  /** Users as URIs. */
  readonly from: string;
  readonly to: string;
  /** Milliseconds since the epoch, when it began to pass. */
  readonly at: number;
  /** Call-ID of the session. */
  readonly session: string;
  readonly conversationId: string | undefined;
  readonly messageId: string;
  /** Octets that passed. */
  readonly octets: number;
  /** What its receiver said: 200 when it took all of it. */
  readonly status: number;
  /** Whether all octets are in the recording. */
  readonly complete: boolean;
  readonly contentType: string;
}

/** Namespace of the header fields of a recording. */
const NAMESPACE = 'urn:parley:recording';

/** A recording: the message as it passed, in a Message/CPIM (RFC 3862) that says whose it was. */
export function formatRecording(message: RecordedMessage, content: Uint8Array): Buffer {
  const { from, to, at, session, conversationId, messageId, octets, status, complete } = message;
  const fields: [string, string][] = [
    ['Session', session],
    ...(conversationId === undefined ? [] : ([['Conversation-ID', conversationId]] as [string, string][])),
    ['Message-ID', messageId],
    ['Octets', String(octets)],
    ['Status', String(status)],
    ['Complete', complete ? 'yes' : 'no'],
  ];
  const parts = (type: string): CpimParts => ({
    from: { name: '', uri: from },
    to: [{ name: '', uri: to }],
    dateTime: new Date(at).toISOString(),
    namespaces: { rec: { uri: NAMESPACE, fields } },
    mime: [['Content-Type', type]],
    content,
  });
  try {
    return formatCpim(parts(message.contentType));
  } catch (error) {
    // a type that is no header line
    if (!(error instanceof ParleyError)) throw error;
    return formatCpim(parts('application/octet-stream'));
  }
}

/** @throws ParleyError `cpim-malformed` for what is no recording. */
export function readRecording(octets: Uint8Array): RecordedMessage {
  const { head } = parseCpim(octets);
  const of = (name: string): string => {
    const value = head.value(name, NAMESPACE);
    if (value === undefined) throw new ParleyError('cpim-malformed', name);
    return value;
  };
  return {
    from: head.from?.uri ?? '',
    to: head.to[0]?.uri ?? '',
    at: Date.parse(head.value('DateTime') ?? ''),
    session: of('Session'),
    conversationId: head.value('Conversation-ID', NAMESPACE),
    messageId: of('Message-ID'),
    octets: Number(of('Octets')),
    status: Number(of('Status')),
    complete: of('Complete') === 'yes',
    contentType: head.mime('Content-Type') ?? '',
  };
}
