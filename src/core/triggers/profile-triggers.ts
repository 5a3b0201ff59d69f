import type { Subscribers } from '../../registrar/subscribers.js';
import type { Step, Triggers } from '../chain.js';
import type { Service, ServiceSubject } from '../service.js';
import type { CompiledCriterion } from './compile.js';
import { DEFAULT_PROFILE, isServer } from './criteria.js';
import type { Profiles } from './profiles.js';

/** Places of the services that no criterion of the user names: after every priority. */
const SERVICES = 1_000_000_000;

/** The place after a service, which each user's criteria may have put elsewhere: found out when the request is there. */
export const afterService = (index: number): number => -2 - index;

/**
 * Chooses by the filter criteria of the served user's profile, in order of priority (3GPP TS 23.218 §5.2.3). Services of this process that no
 * criterion names come after them with their own triggers, in the order in which they were registered.
 */
export class ProfileTriggers implements Triggers {
  readonly #services: readonly Service[];
  readonly #profiles: Profiles;
  readonly #subscribers: Subscribers;

  /** @param services read at every request: it may grow. */
  constructor(services: readonly Service[], profiles: Profiles, subscribers: Subscribers) {
    this.#services = services;
    this.#profiles = profiles;
    this.#subscribers = subscribers;
  }

  next(subject: ServiceSubject, after: number): Step | undefined | Promise<Step | undefined> {
    return this.#profiles.any ? this.#byProfile(subject, after) : this.#choose([], subject, after);
  }

  async #byProfile(subject: ServiceSubject, after: number): Promise<Step | undefined> {
    const row = await this.#subscribers.identity(subject.servedUser);
    const criteria = this.#profiles.criteria(row?.profile ?? DEFAULT_PROFILE);
    const step = this.#choose(this.#preceded(subject, criteria) ? [] : criteria, subject, after);
    return step?.kind === 'server' && row?.wildcard !== undefined
      ? { ...step, profileKey: row.wildcard }
      : step;
  }

  /** Whether a service that precedes all criteria wants the request; where a criterion names it, that one has put it elsewhere. */
  #preceded(subject: ServiceSubject, criteria: readonly CompiledCriterion[]): boolean {
    return this.#services.some(
      (service) =>
        service.precedes?.(subject) === true &&
        criteria.every(({ criterion }) => criterion.server !== service.name),
    );
  }

  #choose(criteria: readonly CompiledCriterion[], subject: ServiceSubject, after: number): Step | undefined {
    const passed = after < -1 ? this.#placeOf(-2 - after, criteria) : after;
    for (const { criterion, holds } of criteria) {
      const { priority, server } = criterion;
      if (priority <= passed || !holds(subject)) continue;
      if (isServer(server)) return { kind: 'server', criterion, position: priority };
      const service = this.#services.find(({ name }) => name === server);
      if (service && service.matches?.(subject) !== false)
        return { kind: 'service', service, position: priority };
    }
    for (let index = Math.max(0, passed - SERVICES + 1); index < this.#services.length; index++) {
      const service = this.#services[index]!;
      if (criteria.some(({ criterion }) => criterion.server === service.name)) continue;
      if (service.matches?.(subject) === true)
        return { kind: 'service', service, position: SERVICES + index };
    }
    return undefined;
  }

  #placeOf(index: number, criteria: readonly CompiledCriterion[]): number {
    const name = this.#services[index]?.name;
    const named = criteria.find(({ criterion }) => criterion.server === name);
    return named?.criterion.priority ?? SERVICES + index;
  }
}
