import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';

/** The address of record that a URI means, or the URI as it is when it means none. */
export function canonicalUri(uri: string): string {
  try {
    return parseAor(uri);
  } catch (error) {
    if (error instanceof ParleyError) return uri;
    throw error;
  }
}
