import { byName } from './by-name.js';
import type { CspVersion } from './versions.js';

/** A service function of the negotiation tree: its feature, its group, and its code. */
export interface FunctionEntry {
  readonly feature: string;
  readonly group: string;
  readonly code: string;
  readonly versions: readonly CspVersion[];
}

const all: readonly CspVersion[] = ['1.1', '1.2', '1.3'];
const since12: readonly CspVersion[] = ['1.2', '1.3'];
const only13: readonly CspVersion[] = ['1.3'];
const until12: readonly CspVersion[] = ['1.1', '1.2'];
const only12: readonly CspVersion[] = ['1.2'];

/** Features, in the order in which WVCSPFeat has them, with the leaf that stands for the mandatory functions. */
export const features: Readonly<Record<string, string>> = byName({
  FundamentalFeat: 'MF',
  PresenceFeat: 'MP',
  IMFeat: 'MM',
  GroupFeat: 'MG',
});

const tree: readonly (readonly [string, string, string, readonly CspVersion[]])[] = [
  ['FundamentalFeat', 'ServiceFunc', 'GETSPI', all],
  ['FundamentalFeat', 'ServiceFunc', 'GETMAP SGMNT', only13],
  ['FundamentalFeat', 'SearchFunc', 'SRCH STSRC', all],
  ['FundamentalFeat', 'SearchFunc', 'ADVSR', only13],
  ['FundamentalFeat', 'InviteFunc', 'INVIT CAINV', all],
  ['FundamentalFeat', 'VerifyIDFunc', 'VRID', only13],
  ['PresenceFeat', 'ContListFunc', 'GCLI CCLI DCLI MCLS', all],
  ['PresenceFeat', 'PresenceAuthFunc', 'GETWL', all],
  ['PresenceFeat', 'PresenceAuthFunc', 'REACT CAAUT', until12],
  ['PresenceFeat', 'PresenceAuthFunc', 'GETAUT', only12],
  ['PresenceFeat', 'PresenceDeliverFunc', 'GETPR UPDPR', all],
  ['PresenceFeat', 'AttListFunc', 'CALI DALI GALS', until12],
  ['IMFeat', 'IMSendFunc', 'MDELIV FWMSG', all],
  ['IMFeat', 'IMReceiveFunc', 'SETD GETLM GETM REJCM NOTIF NEWM', all],
  ['IMFeat', 'IMReceiveFunc', 'OFFNOTIF', only13],
  ['IMFeat', 'IMAuthFunc', 'GLBLU BLENT', all],
  ['GroupFeat', 'GroupMgmtFunc', 'CREAG DELGR GETGP SETGP', all],
  ['GroupFeat', 'GroupUseFunc', 'SUBGCN GRCHN', all],
  ['GroupFeat', 'GroupUseFunc', 'EXCON', only13],
  ['GroupFeat', 'GroupAuthFunc', 'GETGM ADDGM RMVGM MBRAC REJEC', all],
  ['GroupFeat', 'GroupAuthFunc', 'GETJU', since12],
];

export const functionTree: readonly FunctionEntry[] = tree.flatMap(([feature, group, codes, versions]) =>
  codes.split(' ').map((code) => ({ feature, group, code, versions })),
);

const entryOf = new Map(functionTree.map((entry) => [entry.code, entry]));

/** A function code, or a feature whose mandatory functions have none. */
export type Service = string;

/**
 * Whether the codes that a session was granted cover a service. A code that the version's tree does not have is covered
 * by its feature, and a feature by any of its functions. Before service negotiation nothing is covered.
 */
export function covers(
  granted: readonly string[] | undefined,
  version: CspVersion,
  service: Service,
): boolean {
  const entry = entryOf.get(service);
  if (entry?.versions.includes(version)) return granted?.includes(service) ?? false;
  const feature = entry?.feature ?? service;
  return granted?.some((code) => entryOf.get(code)?.feature === feature) ?? false;
}

/** Functions of the tree that Parley does not offer: segmentation (its coding is not established), advanced search (no grammar). */
export const notOffered: ReadonlySet<string> = new Set(['SGMNT', 'ADVSR']);
