import { table } from '../../store/store.js';
import type { PartsRecord } from './reassembly.js';
import type { UserData } from './user-data.js';

/** Parts by user data headers (3GPP TS 23.040 §9.2.3.24.1). */
export const concatenated = table<PartsRecord<UserData>>('imps-sms-concatenated');
/** Parts by the letters of the plain text syntax. */
export const lettered = table<PartsRecord<string>>('imps-sms-lettered');
