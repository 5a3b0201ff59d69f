import type { OfflineHandling, OnlineHandling } from '../state/records.js';

/** What routing knows of one living session of the recipient. */
export interface Candidate {
  readonly id: string;
  readonly client: string;
  readonly applicationId: string;
  /** False when service negotiation left instant messages out. */
  readonly takesMessages: boolean;
  readonly imPriority: number;
  readonly priority: number;
  readonly onlineHandling: OnlineHandling;
  /** Milliseconds since the epoch of its last transaction. */
  readonly seenAt: number;
}

/** The client that the sender named besides the user, if any. */
export interface Address {
  readonly client?: string | undefined;
  readonly applicationId?: string | undefined;
}

export type Route =
  | { readonly kind: 'deliver'; readonly sessions: readonly string[] }
  | { readonly kind: 'store' }
  | { readonly kind: 'reject' };

export interface RoutingPolicy {
  readonly priorityOrder: 'larger-first' | 'smaller-first';
  /** Whether the operator stores messages for users who are not logged in. */
  readonly storeOffline: boolean;
}

/**
 * Which sessions of the recipient get a message.
 *
 * A message to a user goes by OnlineETEMHandling of the first session in order: SERVERLOGIC gives it to that one,
 * FORKALL to all, DETECT to the one that was used last. The order is ClientIMPriority, then SessionPriority, then the
 * last use. A message to a client (or application) that has a session goes there alone. When the one addressed is not
 * there, OfflineETEMHandling of its last session decides: REJECT refuses; SEND… gives the message to all other
 * sessions, PRIORITY… to the first of them; and where there is none, …STORE stores and …REJECT refuses.
 */
export function route(
  candidates: readonly Candidate[],
  address: Address,
  offline: OfflineHandling,
  policy: RoutingPolicy,
): Route {
  const able = candidates.filter((candidate) => candidate.takesMessages).sort(comparing(policy));
  const addressed = address.client !== undefined || address.applicationId !== undefined;
  const named = able.filter((candidate) => matches(candidate, address));
  const [first] = named;
  if (first) {
    if (addressed) return deliver([first]);
    switch (first.onlineHandling) {
      case 'SERVERLOGIC':
        return deliver([first]);
      case 'FORKALL':
        return deliver(named);
      case 'DETECT':
        return deliver([named.reduce((last, next) => (next.seenAt > last.seenAt ? next : last))]);
    }
  }
  if (offline === 'REJECT') return { kind: 'reject' };
  if (able.length > 0) return deliver(offline.startsWith('SEND') ? able : able.slice(0, 1));
  return offline.endsWith('STORE') && policy.storeOffline ? { kind: 'store' } : { kind: 'reject' };
}

const deliver = (to: readonly Candidate[]): Route => ({ kind: 'deliver', sessions: to.map(({ id }) => id) });

const matches = (candidate: Candidate, { client, applicationId }: Address): boolean =>
  (client === undefined || candidate.client === client) &&
  (applicationId === undefined || candidate.applicationId === applicationId);

const comparing =
  ({ priorityOrder }: RoutingPolicy) =>
  (a: Candidate, b: Candidate): number => {
    const sign = priorityOrder === 'larger-first' ? 1 : -1;
    return sign * (b.imPriority - a.imPriority) || sign * (b.priority - a.priority) || b.seenAt - a.seenAt;
  };
