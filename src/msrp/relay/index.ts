export type { AuthRequest, AuthVerdict, RelayAuthority } from './auth.js';
export type { RelayFigures } from './forwarded-chunk.js';
export { defaultRelayLimits, type RelayLimits } from './limits.js';
export { MsrpRelay, type RelayOptions } from './relay.js';
