/** The versions of CSP that Parley speaks, and what names each on the wire. */
export const versions = ['1.1', '1.2', '1.3'] as const;
export type CspVersion = (typeof versions)[number];

export interface VersionNames {
  /** WBXML public identifier, as a number and as text. */
  readonly publicId: number;
  readonly publicIdTexts: readonly string[];
  /** xmlns of WV-CSP-Message, TransactionContent and PresenceSubList. */
  readonly message: string;
  readonly transactionContent: string;
  readonly presence: string;
}

export const versionNames: Readonly<Record<CspVersion, VersionNames>> = {
  '1.1': {
    publicId: 0x10,
    publicIdTexts: ['-//WIRELESSVILLAGE//DTD CSP 1.1//EN', '-//OMA//DTD WV-CSP 1.1//EN'],
    message: 'http://www.wireless-village.org/CSP1.1',
    transactionContent: 'http://www.wireless-village.org/TRC1.1',
    presence: 'http://www.wireless-village.org/PA1.1',
  },
  '1.2': {
    publicId: 0x11,
    publicIdTexts: ['-//OMA//DTD WV-CSP 1.2//EN'],
    message: 'http://www.openmobilealliance.org/DTD/WV-CSP1.2',
    transactionContent: 'http://www.openmobilealliance.org/DTD/WV-TRC1.2',
    presence: 'http://www.openmobilealliance.org/DTD/WV-PA1.2',
  },
  '1.3': {
    publicId: 0x12,
    publicIdTexts: ['-//OMA//DTD IMPS-CSP 1.3//EN'],
    message: 'http://www.openmobilealliance.org/DTD/IMPS-CSP1.3',
    transactionContent: 'http://www.openmobilealliance.org/DTD/IMPS-TRC1.3',
    presence: 'http://www.openmobilealliance.org/DTD/IMPS-PA1.3',
  },
};

/** Attribute start tokens of WBXML: each is `xmlns="` followed by the prefix. One table serves all versions. */
export const attributeStarts: readonly { readonly token: number; readonly prefix: string }[] = [
  { token: 0x05, prefix: 'http://www.wireless-village.org/CSP' },
  { token: 0x06, prefix: 'http://www.wireless-village.org/PA' },
  { token: 0x07, prefix: 'http://www.wireless-village.org/TRC' },
  { token: 0x08, prefix: 'http://www.openmobilealliance.org/DTD/WV-CSP' },
  { token: 0x09, prefix: 'http://www.openmobilealliance.org/DTD/WV-PA' },
  { token: 0x0a, prefix: 'http://www.openmobilealliance.org/DTD/WV-TRC' },
  { token: 0x0b, prefix: 'http://www.openmobilealliance.org/DTD/IMPS-CSP' },
  { token: 0x0c, prefix: 'http://www.openmobilealliance.org/DTD/IMPS-PA' },
  { token: 0x0d, prefix: 'http://www.openmobilealliance.org/DTD/IMPS-TRC' },
];

const byNamespace = new Map(versions.map((version) => [versionNames[version].message, version]));
const byPublicId = new Map(versions.map((version) => [versionNames[version].publicId, version]));
const byPublicIdText = new Map(
  versions.flatMap((version) => versionNames[version].publicIdTexts.map((text) => [text, version] as const)),
);

/** The version whose WV-CSP-Message carries this xmlns. */
export const versionOfNamespace = (xmlns: string | undefined): CspVersion | undefined =>
  xmlns === undefined ? undefined : byNamespace.get(xmlns);
export const versionOfPublicId = (publicId: number): CspVersion | undefined => byPublicId.get(publicId);
export const versionOfPublicIdText = (text: string): CspVersion | undefined => byPublicIdText.get(text);
