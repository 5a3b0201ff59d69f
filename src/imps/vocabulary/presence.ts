/** Presence attributes of PresenceSubList, in the order in which they are written. */
export interface PresenceAttribute {
  readonly name: string;
  /** Each client of a user has its own; 1.3 writes one instance a client, with its ClientID. */
  readonly perClient: boolean;
  /** The server sets it; what a client publishes is passed over. */
  readonly byServer?: boolean;
  /** The only values of PresenceValue; undefined means any text or a structure. */
  readonly values?: readonly string[];
}

export const presenceAttributes: readonly PresenceAttribute[] = [
  { name: 'OnlineStatus', perClient: true, byServer: true },
  { name: 'Registration', perClient: true, byServer: true },
  { name: 'ClientInfo', perClient: true },
  { name: 'ClientContentLimit', perClient: true },
  { name: 'TimeZone', perClient: true },
  { name: 'GeoLocation', perClient: true },
  { name: 'Address', perClient: false },
  { name: 'FreeTextLocation', perClient: true },
  { name: 'PLMN', perClient: true },
  { name: 'CommCap', perClient: true },
  { name: 'UserAvailability', perClient: false, values: ['AVAILABLE', 'NOT_AVAILABLE', 'DISCREET'] },
  { name: 'PreferredContacts', perClient: false },
  { name: 'PreferredLanguage', perClient: false },
  { name: 'StatusText', perClient: false },
  {
    name: 'StatusMood',
    perClient: false,
    values: 'HAPPY SAD ANGRY JEALOUS ASHAMED INVINCIBLE IN_LOVE SLEEPY BORED EXCITED ANXIOUS'.split(' '),
  },
  { name: 'Alias', perClient: false },
  { name: 'StatusContent', perClient: false },
  { name: 'ContactInfo', perClient: false },
  { name: 'InfoLink', perClient: false },
];

export const presenceAttribute: ReadonlyMap<string, PresenceAttribute> = new Map(
  presenceAttributes.map((attribute) => [attribute.name, attribute]),
);
