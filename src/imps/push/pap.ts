import { randomBytes } from 'node:crypto';
import { XMLParser } from 'fast-xml-parser';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { ImpsConfig } from '../config.js';
import type { Pager } from '../ports.js';

export type PushProxyConfig = NonNullable<ImpsConfig['pushProxy']>;

const ANSWER_MS = 10_000;
/** Octets of an answer that are read. */
const ANSWER_OCTETS = 65_536;
/** Submissions that wait for an answer; the proxy is not asked more at once. */
const AT_WORK = 100;
/** Codes of `push-response` that mean the proxy has the push (WAP-247 §9.14). */
const ACCEPTED: ReadonlySet<string> = new Set(['1000', '1001']);

/**
 * WAP push by the Push Access Protocol (WAP-247): submits CIR and offline notifications to a push proxy gateway, which
 * brings them to the telephone by SMS, or by UDP when its address is known.
 */
export class PapPager implements Pager {
  readonly methods = ['WAPSMS', 'WAPUDP'];
  readonly #config: PushProxyConfig;
  readonly #log: Logger;
  readonly #trail: Trail;
  readonly #authorization: string | undefined;
  readonly #parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '',
    processEntities: false,
    maxNestedTags: 10,
  });
  #atWork = 0;

  constructor(config: PushProxyConfig, { log, trail }: { readonly log: Logger; readonly trail: Trail }) {
    this.#config = config;
    this.#log = log;
    this.#trail = trail;
    const { user, password } = config;
    this.#authorization =
      user === undefined ? undefined : `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}`;
  }

  async page(
    method: string,
    { msisdn, ip }: { readonly msisdn?: string | undefined; readonly ip?: string | undefined },
    text: string,
  ): Promise<boolean> {
    const address = method === 'WAPUDP' ? clientByAddress(ip) : clientByNumber(msisdn);
    if (address === undefined) return false;
    if (this.#atWork >= AT_WORK) return this.#refused(method, `${AT_WORK} submissions wait`);
    this.#atWork++;
    try {
      const why = await this.#submit(`WAPPUSH=${address}@${this.#config.domain}`, method, text);
      return why === undefined || this.#refused(method, why);
    } catch (error) {
      return this.#refused(method, error instanceof Error ? error.message : 'failed');
    } finally {
      this.#atWork--;
    }
  }

  /** The data stays queued, and the client polls at its own time. */
  #refused(method: string, why: string): false {
    this.#log.warn({ method, reason: why }, 'the push proxy did not take a push');
    this.#trail.record({
      code: 'imps.push-refused',
      outcome: 'refused',
      clause: 'WAP-247 §9.14',
      subject: this.#config.domain,
      detail: `${method}: ${why}`,
    });
    return false;
  }

  /** @returns why the proxy did not take it; undefined when it did */
  async #submit(address: string, method: string, text: string): Promise<string | undefined> {
    const boundary = `push-${randomBytes(12).toString('hex')}`;
    const pushId = `${randomBytes(12).toString('hex')}@${this.#config.domain}`;
    const response = await fetch(this.#config.url, {
      method: 'POST',
      headers: {
        'Content-Type': `multipart/related; boundary=${boundary}; type="application/xml"`,
        ...(this.#authorization === undefined ? {} : { Authorization: this.#authorization }),
      },
      body: papDocument({ boundary, pushId, address, overSms: method === 'WAPSMS', text }),
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: 'error',
    });
    const answer = (await response.text()).slice(0, ANSWER_OCTETS);
    const code = this.#codeOf(answer);
    const taken = response.status < 300 && (code === undefined || ACCEPTED.has(code));
    return taken ? undefined : `HTTP ${response.status}, code ${code?.slice(0, 10) ?? 'none'}`;
  }

  #codeOf(answer: string): string | undefined {
    const pap = (this.#parser.parse(answer) as { pap?: Record<string, unknown> }).pap;
    const response = pap?.['push-response'] as Record<string, unknown> | undefined;
    const result = (response?.['response-result'] ?? pap?.['badmessage-response']) as
      Record<string, unknown> | undefined;
    const code = result?.['code'];
    return typeof code === 'string' ? code : undefined;
  }
}

const clientByNumber = (msisdn: string | undefined): string | undefined =>
  msisdn === undefined || !/^\+?\d{5,15}$/.test(msisdn)
    ? undefined
    : `+${msisdn.replace(/^\+/, '')}/TYPE=PLMN`;

function clientByAddress(ip: string | undefined): string | undefined {
  if (ip === undefined || !/^[0-9a-fA-F:.]+$/.test(ip)) return undefined;
  return ip.includes(':') ? `${ip}/TYPE=IPv6` : `${ip}/TYPE=IPv4`;
}

/** A push submission: the control entity and the content, as multipart/related (WAP-247 §8.2). */
function papDocument(push: {
  readonly boundary: string;
  readonly pushId: string;
  readonly address: string;
  readonly overSms: boolean;
  readonly text: string;
}): string {
  const { boundary, pushId, address, overSms, text } = push;
  const quality = overSms
    ? '<quality-of-service delivery-method="unconfirmed" network="GSM" network-required="true" bearer="SMS" bearer-required="true"/>'
    : '<quality-of-service delivery-method="unconfirmed"/>';
  return [
    `--${boundary}`,
    'Content-Type: application/xml',
    '',
    '<?xml version="1.0"?>',
    '<!DOCTYPE pap PUBLIC "-//WAPFORUM//DTD PAP 1.0//EN" "http://www.wapforum.org/DTD/pap_1.0.dtd">',
    `<pap><push-message push-id="${pushId}" source-reference="parley">`,
    `<address address-value="${address}"/>`,
    quality,
    '</push-message></pap>',
    `--${boundary}`,
    'Content-Type: application/vnd.wv.csp.cir',
    'X-Wap-Application-Id: x-wap-application:wv.ua',
    '',
    text,
    `--${boundary}--`,
    '',
  ].join('\r\n');
}
