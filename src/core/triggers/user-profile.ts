import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { ParleyError } from '../../base/errors.js';
import '../errors.js';
import type {
  FilterCriterion,
  RegistrationType,
  ServicePointTrigger,
  TriggerPoint,
  TriggerSessionCase,
} from './criteria.js';

/** What the XML user profile of the Cx interface says (3GPP TS 29.228 annex E). */
export interface UserProfile {
  readonly privateId: string;
  readonly serviceProfiles: readonly {
    readonly identities: readonly ProfileIdentity[];
    readonly criteria: readonly FilterCriterion[];
    /** Sets of criteria that the S-CSCF has itself, by their numbers; absent when there are none. */
    readonly sharedSets?: readonly number[];
  }[];
}

export interface ProfileIdentity {
  readonly uri: string;
  readonly barred: boolean;
  /** Identities with the same one are aliases of each other (3GPP TS 23.228 §4.3.3.4). */
  readonly aliasGroup?: string;
}

const MAX_OCTETS = 262_144;
const MAX_DEPTH = 16;
/** Elements that may stand several times. */
const lists = new Set([
  'ServiceProfile',
  'PublicIdentity',
  'InitialFilterCriteria',
  'SPT',
  'Group',
  'RegistrationType',
  'SharedIFCSetID',
]);

const parser = new XMLParser({
  removeNSPrefix: true,
  parseTagValue: false,
  processEntities: false,
  htmlEntities: false,
  maxNestedTags: MAX_DEPTH,
  isArray: (name) => lists.has(name),
});

type Node = string | { readonly [name: string]: Node | readonly Node[] | undefined };

/**
 * Reads an `IMSSubscription` document. Document types and entities are refused; elements that are not known are passed over.
 * @throws ParleyError `profile-malformed`, `profile-invalid`.
 */
export function parseUserProfile(octets: Uint8Array): UserProfile {
  if (octets.length > MAX_OCTETS) throw malformed(`more than ${MAX_OCTETS} octets`);
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8');
  if (/<!(?!--|\[CDATA\[)/.test(text)) throw malformed('a document type');
  if (XMLValidator.validate(text) !== true) throw malformed('not well-formed');
  let document: Node;
  try {
    document = parser.parse(text) as Node;
  } catch (error) {
    throw new ParleyError('profile-malformed', 'cannot be read', { cause: error });
  }
  const subscription = child(document, 'IMSSubscription');
  if (subscription === undefined) throw malformed('no IMSSubscription');
  const profiles = children(subscription, 'ServiceProfile');
  if (profiles.length === 0) throw malformed('no ServiceProfile');
  return {
    privateId: textOf(subscription, 'PrivateID'),
    serviceProfiles: profiles.map((profile) => ({
      identities: children(profile, 'PublicIdentity').map(identityOf),
      criteria: children(profile, 'InitialFilterCriteria').map(criterionOf),
      ...sharedSetsOf(profile),
    })),
  };
}

function identityOf(node: Node): ProfileIdentity {
  const [group] = extensions(node).flatMap(
    (extension) => optionalText(extension, 'AliasIdentityGroupID') ?? [],
  );
  return {
    uri: textOf(node, 'Identity'),
    barred: flag(node, 'BarringIndication'),
    ...(group === undefined ? {} : { aliasGroup: group }),
  };
}

function sharedSetsOf(profile: Node): { readonly sharedSets?: readonly number[] } {
  const sets = extensions(profile)
    .flatMap((extension) => children(extension, 'SharedIFCSetID'))
    .map((id) => whole(ownText(id), 'SharedIFCSetID'));
  return sets.length > 0 ? { sharedSets: sets } : {};
}

function criterionOf(node: Node): FilterCriterion {
  const server = child(node, 'ApplicationServer') ?? malformedHere('no ApplicationServer');
  // since release 8 the two inclusions stand in an Extension of ApplicationServer
  const extension = child(server, 'Extension');
  const has = (name: string): boolean =>
    [server, extension].some((parent) => parent !== undefined && child(parent, name) !== undefined);
  const trigger = child(node, 'TriggerPoint');
  const part = optionalText(node, 'ProfilePartIndicator');
  const serviceInfo = optionalText(server, 'ServiceInfo');
  return {
    priority: whole(textOf(node, 'Priority'), 'Priority'),
    server: textOf(server, 'ServerName'),
    defaultHandling: optionalText(server, 'DefaultHandling') === '1' ? 'terminated' : 'continued',
    ...(trigger === undefined ? {} : { trigger: pointOf(trigger) }),
    ...(part === undefined ? {} : { profilePart: part === '1' ? 'unregistered' : 'registered' }),
    ...(serviceInfo === undefined ? {} : { serviceInfo }),
    ...(has('IncludeRegisterRequest') ? { includeRegisterRequest: true } : {}),
    ...(has('IncludeRegisterResponse') ? { includeRegisterResponse: true } : {}),
  };
}

/** Triggers name their groups by number; one may be in several. */
function pointOf(node: Node): TriggerPoint {
  const groups = new Map<number, ServicePointTrigger[]>();
  for (const spt of children(node, 'SPT')) {
    const numbers = children(spt, 'Group').map((group) => whole(ownText(group), 'Group'));
    const trigger = triggerOf(spt);
    for (const number of numbers.length > 0 ? numbers : [0])
      groups.set(number, [...(groups.get(number) ?? []), trigger]);
  }
  return { form: flag(node, 'ConditionTypeCNF') ? 'cnf' : 'dnf', groups: [...groups.values()] };
}

const sessionCases: readonly TriggerSessionCase[] = [
  'originating',
  'terminating-registered',
  'terminating-unregistered',
  'originating-unregistered',
  'originating-cdiv',
];
const registrationTypes: readonly RegistrationType[] = ['initial', 're-registration', 'de-registration'];

function triggerOf(spt: Node): ServicePointTrigger {
  const negated = flag(spt, 'ConditionNegated') ? { negated: true } : {};
  const method = optionalText(spt, 'Method');
  const extension = child(spt, 'Extension');
  const types = extension === undefined ? [] : children(extension, 'RegistrationType');
  if (method !== undefined)
    return {
      ...negated,
      method,
      ...(types.length > 0
        ? {
            registrationTypes: types.map((type) =>
              pick(registrationTypes, ownText(type), 'RegistrationType'),
            ),
          }
        : {}),
    };
  const requestUri = optionalText(spt, 'RequestURI');
  if (requestUri !== undefined) return { ...negated, requestUri };
  const sessionCase = optionalText(spt, 'SessionCase');
  if (sessionCase !== undefined)
    return { ...negated, sessionCase: pick(sessionCases, sessionCase, 'SessionCase') };
  const header = child(spt, 'SIPHeader');
  if (header !== undefined)
    return { ...negated, header: withContent({ name: textOf(header, 'Header') }, header) };
  const sdp = child(spt, 'SessionDescription');
  if (sdp !== undefined) return { ...negated, sdp: withContent({ line: textOf(sdp, 'Line') }, sdp) };
  return malformedHere('a trigger without a condition that is known');
}

function withContent<T extends object>(value: T, node: Node): T & { content?: string } {
  const content = optionalText(node, 'Content');
  return content === undefined ? value : { ...value, content };
}

function child(node: Node, name: string): Node | undefined {
  if (typeof node === 'string') return undefined;
  const value = node[name];
  return Array.isArray(value) ? (value as readonly Node[])[0] : (value as Node | undefined);
}

/** What each release has added to an element lies in the Extension of what the release before added. */
function extensions(node: Node): readonly Node[] {
  const found: Node[] = [];
  for (let at = child(node, 'Extension'); at !== undefined; at = child(at, 'Extension')) found.push(at);
  return found;
}

function children(node: Node, name: string): readonly Node[] {
  const value = typeof node === 'string' ? undefined : node[name];
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly Node[]) : [value as Node];
}

function ownText(node: Node): string {
  const text = typeof node === 'string' ? node : node['#text'];
  return typeof text === 'string' ? decode(text).trim() : '';
}

function optionalText(node: Node, name: string): string | undefined {
  const found = child(node, name);
  return found === undefined ? undefined : ownText(found);
}

function textOf(node: Node, name: string): string {
  const text = optionalText(node, name);
  if (text === undefined || text === '') throw malformed(`no ${name}`);
  return text;
}

/** xs:boolean. */
function flag(node: Node, name: string): boolean {
  const text = optionalText(node, name);
  return text === '1' || text === 'true';
}

function whole(text: string, name: string): number {
  if (!/^\d{1,9}$/.test(text)) throw malformed(`${name} is not a whole number`);
  return Number(text);
}

function pick<T>(values: readonly T[], index: string, name: string): T {
  return values[whole(index, name)] ?? malformedHere(`${name} ${index}`);
}

const predefined: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decode(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(lt|gt|amp|quot|apos));/g,
    (all: string, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return predefined[name]!;
      const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}

function malformed(detail: string): ParleyError {
  return new ParleyError('profile-malformed', detail);
}

function malformedHere(detail: string): never {
  throw malformed(detail);
}
