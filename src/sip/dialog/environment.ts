import type { AuthenticatingSending } from '../embedded/authenticated.js';
import type { Dispatcher } from '../embedded/dispatcher.js';
import type { ProxyEnvironment } from '../proxy/environment.js';
import type { DialogTable } from './table.js';

/** What dialogs are given. */
export interface DialogEnvironment extends ProxyEnvironment, AuthenticatingSending {
  readonly dispatcher: Dispatcher;
  readonly dialogs: DialogTable;
  /** Option tags that our user agents understand, lower case. */
  readonly supported: readonly string[];
  /** The smallest Session-Expires taken, in seconds (RFC 4028 §9). */
  readonly minSe: number;
}
