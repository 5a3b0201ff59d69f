import { createEmbeddedStack, type EmbeddedOptions } from '../embedded/stack.js';
import type { SipStack, StackAbilities } from '../stack.js';
import { MAX_FRAME_OCTETS } from './pacing.js';
import { parseDrachtioSettings } from './settings.js';
import { DrachtioWire } from './wire.js';

export interface DrachtioOptions extends Omit<EmbeddedOptions, 'wire' | 'abilities'> {
  /** `drachtio://:secret@host:port`, see {@link parseDrachtioSettings}. */
  readonly url: string;
}

const abilities: StackAbilities = {
  name: 'drachtio',
  binaryBodies: false,
  maxMessageBytes: MAX_FRAME_OCTETS - 500,
  // of a list that is longer than 8,192 octets the server drops the rest without a word
  maxFieldBytes: 7_800,
  flows: true,
};

/** What the server cannot do; said once at start, and explained in docs/drachtio.md. */
const LIMITS = [
  `messages over ${abilities.maxMessageBytes} octets are refused with 513`,
  `a list in a header is limited to ${abilities.maxFieldBytes} octets: a REGISTER is told of few other devices`,
  'bodies with NUL are refused with 415',
  'requests to tel: URIs are refused with 416',
  'Request-URI and Route together are limited to 1000 octets',
  'dialogs are anchored at the server: Contact is its address, Record-Route is not sent',
  'REFER and unknown methods outside dialogs never arrive',
  'a closed connection is noticed when it is used next',
];

/**
 * The SIP stack whose sockets and transactions are those of one or several drachtio-servers.
 * @throws ParleyError `sip-drachtio-setting`
 */
export function createDrachtioStack(options: DrachtioOptions): SipStack {
  const { url, clock, log, trail } = options;
  const settings = parseDrachtioSettings(url);
  const wire = new DrachtioWire({ settings, clock, log, trail });
  log.warn(
    { limits: LIMITS },
    'this SIP stack goes through drachtio-server, which cannot do all that the embedded one can',
  );
  if (settings.tls && settings.listen && !settings.listenTls)
    log.warn(
      { listen: settings.listen },
      'tls=on is for our own connections; those that drachtio-servers make to us are plain without cert and key',
    );
  return createEmbeddedStack({ ...options, wire, abilities });
}
