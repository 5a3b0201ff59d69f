import { impsError } from '../errors.js';
import { versionNames, type CspVersion } from '../vocabulary/versions.js';
import { child, childrenOf, element, flagOf, noChildren, textOf, type Element } from './element.js';

export type TransactionMode = 'Request' | 'Response';

/** One transaction of a message: exactly one primitive under a Transaction-ID. */
export interface Transaction {
  readonly mode: TransactionMode;
  /** Chosen by whoever starts the transaction; empty in a Polling-Request and in version discovery. */
  readonly id: string;
  /** The primitive; undefined when TransactionContent is empty. */
  readonly primitive: Element | undefined;
}

/** A WV-CSP-Message without its coding. */
export interface CspMessage {
  readonly version: CspVersion;
  readonly sessionType: 'Inband' | 'Outband';
  /** Session-ID of the descriptor. */
  readonly sessionId: string | undefined;
  readonly transactions: readonly Transaction[];
  /** More waits for the client: it should send a Polling-Request. */
  readonly poll: boolean | undefined;
  /** False tells a client of 1.2 or later that its CIR channel is gone. */
  readonly cir: boolean | undefined;
}

/** Most characters of a Transaction-ID; clients of the field allow 50. */
const LONGEST_TRANSACTION_ID = 100;

const incomplete = (detail: string) => impsError('imps-message-malformed', detail);

/**
 * Takes the envelope off a document: read by name, since clients break the order.
 * @param version that of the document; what it says itself when it is undefined is for the caller to refuse
 * @throws ParleyError `imps-message-malformed`
 */
export function openEnvelope(root: Element, version: CspVersion): CspMessage {
  if (root.name !== 'WV-CSP-Message') throw incomplete('the root is no WV-CSP-Message');
  const session = child(root, 'Session');
  const descriptor = child(session, 'SessionDescriptor');
  if (!session || !descriptor) throw incomplete('no SessionDescriptor');
  const sessionId = textOf(descriptor, 'SessionID')?.trim();
  const type = textOf(descriptor, 'SessionType')?.trim();
  const given = childrenOf(session, 'Transaction');
  const transactions = given.map(openTransaction);
  if (transactions.length === 0) throw incomplete('no Transaction');
  const descriptors = given.map((transaction) => child(transaction, 'TransactionDescriptor'));
  return {
    version,
    sessionType: type === 'Inband' || (type !== 'Outband' && sessionId) ? 'Inband' : 'Outband',
    sessionId: sessionId === '' ? undefined : sessionId,
    transactions,
    poll: [session, ...descriptors].map((place) => flagOf(place, 'Poll')).find((flag) => flag !== undefined),
    cir: flagOf(session, 'CIR'),
  };
}

function openTransaction(transaction: Element): Transaction {
  const descriptor = child(transaction, 'TransactionDescriptor');
  const mode = textOf(descriptor, 'TransactionMode')?.trim();
  if (mode !== 'Request' && mode !== 'Response') throw incomplete('no TransactionMode');
  const id = textOf(descriptor, 'TransactionID')?.trim() ?? '';
  if (id.length > LONGEST_TRANSACTION_ID) throw incomplete('a TransactionID over 100 characters');
  const [primitive, second] = child(transaction, 'TransactionContent')?.children ?? noChildren;
  if (second) throw incomplete('two primitives in one TransactionContent');
  return { mode, id, primitive };
}

/** Puts the envelope of its version around a message. Poll is part of the transaction in 1.1, of the session after. */
export function sealEnvelope(message: CspMessage): Element {
  const names = versionNames[message.version];
  const inTransaction = message.version === '1.1';
  const poll = message.poll === undefined ? undefined : element('Poll', message.poll);
  const transactions = message.transactions.map(({ mode, id, primitive }) =>
    element(
      'Transaction',
      element(
        'TransactionDescriptor',
        element('TransactionMode', mode),
        id === '' ? undefined : element('TransactionID', id),
        inTransaction ? poll : undefined,
      ),
      {
        name: 'TransactionContent',
        namespace: names.transactionContent,
        children: primitive ? [withPresenceNamespace(primitive, names.presence)] : noChildren,
        text: '',
        bytes: undefined,
      },
    ),
  );
  return {
    name: 'WV-CSP-Message',
    namespace: names.message,
    children: [
      element(
        'Session',
        element(
          'SessionDescriptor',
          element('SessionType', message.sessionType),
          message.sessionId === undefined ? undefined : element('SessionID', message.sessionId),
        ),
        transactions,
        inTransaction ? undefined : poll,
        inTransaction || message.cir === undefined ? undefined : element('CIR', message.cir),
      ),
    ],
    text: '',
    bytes: undefined,
  };
}

/** PresenceSubList is in the presence namespace of the version, wherever it stands. */
function withPresenceNamespace(tree: Element, namespace: string): Element {
  if (tree.name === 'PresenceSubList') return tree.namespace === namespace ? tree : { ...tree, namespace };
  if (tree.children.length === 0) return tree;
  let changed: Element[] | undefined;
  for (let index = 0; index < tree.children.length; index++) {
    const inner = tree.children[index]!;
    const with_ = withPresenceNamespace(inner, namespace);
    if (with_ !== inner) (changed ??= [...tree.children])[index] = with_;
  }
  return changed ? { ...tree, children: changed } : tree;
}
