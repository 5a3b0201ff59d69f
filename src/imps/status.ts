import { ParleyError } from '../base/errors.js';
import { element, type Element } from './codec/element.js';
import { impsErrors } from './errors.js';

/** Result codes of CSP that Parley sends, with their titles. */
export const statusTitles = {
  200: 'Success',
  201: 'Partially successful',
  202: 'Accepted',
  203: 'Registration confirmation',
  400: 'Bad request',
  401: 'Further authorization needed',
  402: 'Bad parameter',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Service not supported',
  409: 'Invalid password',
  410: 'Unable to deliver',
  415: 'Unsupported media type',
  420: 'Invalid transaction',
  422: 'SessionID, UserID and ClientID do not match',
  423: 'Invalid invitation ID',
  424: 'Invalid search ID',
  425: 'Invalid search index',
  426: 'Invalid message ID',
  427: 'Sender is not the user of the session',
  428: 'Sender is not the client of the session',
  429: 'Group ID missing',
  432: 'Response too large',
  450: 'Application ID missing or not matching',
  500: 'Internal server error',
  501: 'Not implemented',
  502: 'Session cannot be recovered',
  503: 'Service unavailable',
  504: 'Timeout',
  505: 'Version not supported',
  506: 'Service not agreed',
  507: 'Message queue full',
  516: 'Domain not supported',
  521: 'Presence authorization unanswered',
  531: 'Unknown user',
  532: 'Recipient blocked the sender',
  533: 'Recipient not logged in',
  534: 'Recipient unauthorized',
  536: 'Too many hits',
  537: 'Search criteria too broad',
  538: 'Message rejected',
  541: 'Message forwarded',
  542: 'Message expired',
  543: 'No matching digest scheme',
  562: 'Invalid search',
  600: 'Session expired',
  601: 'Forced logout',
  603: 'Already logged in',
  604: 'Not logged in',
  605: 'New value not accepted',
  606: 'Some services are not available',
  700: 'Contact list does not exist',
  701: 'Contact list exists',
  702: 'Invalid user property',
  750: 'Invalid presence attribute',
  751: 'Invalid presence value',
  752: 'Invalid contact list property',
  753: 'Too many contact lists',
  754: 'Too many contacts',
  755: 'Too many attribute lists',
  800: 'Group does not exist',
  801: 'Group exists',
  803: 'Group is restricted',
  806: 'Invalid group property',
  807: 'Already joined',
  808: 'Not joined',
  809: 'Rejected',
  810: 'Not a member',
  811: 'Screen name in use',
  812: 'Private messages disabled for the group',
  813: 'Private messages disabled for the user',
  814: 'Too many groups of this user',
  816: 'Insufficient privileges',
  817: 'Too many joined users',
  821: 'History not supported',
  824: 'Left because of logout',
  900: 'Multiple errors',
  901: 'General address error',
} as const;

export type StatusCode = keyof typeof statusTitles;

/** One part that failed: a code and the elements that name what it concerns. */
export interface Detail {
  readonly code: StatusCode;
  readonly of: readonly Element[];
}

/** A refusal of a request with a CSP status; the dispatcher makes it the answer. */
export class CspRefusal extends ParleyError {
  override readonly name = 'CspRefusal';
  readonly status: StatusCode;
  readonly details: readonly Detail[];

  constructor(status: StatusCode, detail?: string, details: readonly Detail[] = []) {
    void impsErrors; // the catalogue must hold the code before it is used
    super('imps-refused', `${status} ${detail ?? statusTitles[status]}`);
    this.status = status;
    this.details = details;
  }
}

/** Result of a code; the description is left out for 200. `extra` follows the DetailedResults. */
export function result(
  code: StatusCode,
  details: readonly Detail[] = [],
  extra: readonly (Element | undefined)[] = [],
): Element {
  return element(
    'Result',
    element('Code', code),
    code === 200 ? undefined : element('Description', statusTitles[code]),
    details.map((detail) =>
      element(
        'DetailedResult',
        element('Code', detail.code),
        element('Description', statusTitles[detail.code]),
        detail.of,
      ),
    ),
    extra,
  );
}

export const status = (
  code: StatusCode,
  details: readonly Detail[] = [],
  extra: readonly (Element | undefined)[] = [],
): Element => element('Status', result(code, details, extra));

/** 200 when nothing failed, 201 when something worked beside it, 900 when nothing worked. */
export const codeFor = (done: number, details: readonly Detail[]): StatusCode =>
  details.length === 0 ? 200 : done > 0 ? 201 : 900;

/** Gathers failures of many parts into one DetailedResult a code. */
export class Failures {
  readonly #byCode = new Map<StatusCode, Element[]>();

  add(code: StatusCode, of: Element): void {
    const known = this.#byCode.get(code);
    if (known) known.push(of);
    else this.#byCode.set(code, [of]);
  }

  details(): Detail[] {
    return [...this.#byCode].map(([code, of]) => ({ code, of }));
  }
}
