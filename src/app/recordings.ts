import type { Config } from '../config/schema.js';
import { ParleyError } from '../base/errors.js';
import { Recordings } from '../cpm/recording/recordings.js';
import type { Disposers, Parts } from './parts.js';

/**
 * The folder of recordings that the configuration names, if it names one.
 * @param disposers gets what closes it.
 * @throws ParleyError `recording-folder` when it cannot be used.
 */
export async function openRecordings(
  config: Config,
  { clock, log, trail }: Parts,
  disposers: Disposers,
): Promise<Recordings | undefined> {
  const { folder, messageBytes, totalBytes, heldBytes, keepDays } = config.cpm.recording;
  if (folder === undefined) return undefined;
  try {
    const recordings = await Recordings.open({
      folder,
      clock,
      log,
      trail,
      messageOctets: messageBytes,
      totalOctets: totalBytes,
      heldOctets: heldBytes,
      keepDays,
    });
    disposers.push(() => recordings.close());
    return recordings;
  } catch (error) {
    throw new ParleyError('recording-folder', folder, { cause: error });
  }
}
