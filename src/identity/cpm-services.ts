const ICSI = 'urn:urn-7:3gpp-service.ims.icsi.';
const IARI = 'urn:urn-7:3gpp-application.ims.iari.';

/**
 * Communication services of converged IP messaging, as plain URNs: what P-Preferred-Service and P-Asserted-Service
 * carry (RFC 6050) and `+g.3gpp.icsi-ref` lists.
 */
export const cpmServices = {
  message: `${ICSI}oma.cpm.msg`,
  messageToGroup: `${ICSI}oma.cpm.msg.group`,
  largeMessage: `${ICSI}oma.cpm.largemsg`,
  largeMessageToGroup: `${ICSI}oma.cpm.largemsg.group`,
  session: `${ICSI}oma.cpm.session`,
  groupSession: `${ICSI}oma.cpm.session.group`,
  deferred: `${ICSI}oma.cpm.deferred`,
  fileTransfer: `${ICSI}oma.cpm.filetransfer`,
  fileTransferToGroup: `${ICSI}oma.cpm.filetransfer.group`,
  systemMessage: `${ICSI}oma.cpm.systemmsg`,
} as const;

export type CpmService = (typeof cpmServices)[keyof typeof cpmServices];

const known: ReadonlySet<string> = new Set(Object.values(cpmServices));

/**
 * Recognises a service URN in any case, as the tokens of `+g.3gpp.icsi-ref` compare.
 * @returns undefined for a service that is no CPM service.
 */
export function cpmService(urn: string): CpmService | undefined {
  const lower = urn.toLowerCase();
  return known.has(lower) ? (lower as CpmService) : undefined;
}

/** Applications that devices list in `+g.3gpp.iari-ref`, as plain URNs. */
export const rcsApplications = {
  chat: `${IARI}rcse.im`,
  fileTransfer: `${IARI}rcse.ft`,
  fileTransferOverHttp: `${IARI}rcs.fthttp`,
  fileTransferThumbnail: `${IARI}rcs.ftthumb`,
  fileTransferStoreAndForward: `${IARI}rcs.ftstandfw`,
  fileTransferBySms: `${IARI}rcs.ftsms`,
  geolocationPush: `${IARI}rcs.geopush`,
  geolocationBySms: `${IARI}rcs.geosms`,
  fullStoreAndForwardGroupChat: `${IARI}rcs.fullsfgroupchat`,
  chatbot: `${IARI}rcs.chatbot`,
} as const;

/** Tag of devices that speak the older SIMPLE IM service instead of CPM. */
export const SIMPLE_IM = '+g.oma.sip-im';
