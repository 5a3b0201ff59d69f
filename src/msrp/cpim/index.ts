export { formatCpimAddress, parseCpimAddress, type CpimAddress } from './address.js';
export { escapeCpim, unescapeCpim } from './escapes.js';
export {
  CPIM_NAMESPACE,
  CpimHead,
  defaultCpimLimits,
  IMDN_NAMESPACE,
  readCpimHead,
  type CpimField,
  type CpimLimits,
} from './head.js';
export {
  formatCpim,
  innermostCpim,
  parseCpim,
  rewriteCpimHead,
  unwrapCpim,
  type CpimChanges,
  type CpimMessage,
  type CpimParts,
} from './message.js';
