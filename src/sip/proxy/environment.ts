import type { Trail } from '../../base/trail.js';
import type { Sending } from '../embedded/outgoing.js';
import type { Self } from './route.js';

/** What a proxy is given. */
export interface ProxyEnvironment extends Sending, Self {
  readonly trail: Trail;
}
