export { formatFileSelector, parseFileSelector, type FileSelector } from './file-selector.js';
export {
  answerSetup,
  connectAddress,
  formatAnswer,
  formatOffer,
  offererIsActive,
  type LocalMedia,
  type SdpOrigin,
} from './local.js';
export { accepts, bareType } from './media-types.js';
export {
  parseMsrpMedia,
  parseMsrpOffer,
  parseMsrpSections,
  type Direction,
  type FileDescription,
  type MsrpMedia,
  type MsrpOffer,
  type Setup,
} from './media.js';
export { rewriteMsrpMedia } from './rewrite.js';
