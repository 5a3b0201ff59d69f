import type { ControllingFunction } from './controlling.js';
import type { Directory } from './directory.js';
import type { EarlyDialogs } from './early-dialogs.js';
import type { Groups } from './groups.js';

/** The controlling function of this process, as the outside sees and steers it. */
export interface RunningGroups {
  readonly controlling: ControllingFunction;
  readonly groups: Groups;
  readonly directory: Directory;
  readonly earlyDialogs: EarlyDialogs;
}
