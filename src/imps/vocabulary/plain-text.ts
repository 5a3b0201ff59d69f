import type { TransactionMode } from '../codec/envelope.js';

/**
 * The codes of the plain text syntax, which carries CSP over SMS: `WV13LR7 UI=… PW=…`. Two letters stand for a
 * primitive or an element; what has none is written by its name of CSP.
 *
 * The codes under `established` are those that phones in the field write and read. For the others no source gives a
 * code: they are Parley's own, and an operator who knows better sets them (`imps.plainText`).
 */
export interface PlainTextCodes {
  /** Primitive by its code. The mode goes with it, since the syntax does not write it. */
  readonly primitives: ReadonlyMap<string, { readonly name: string; readonly mode: TransactionMode }>;
  readonly primitiveCodes: ReadonlyMap<string, string>;
  readonly elements: ReadonlyMap<string, string>;
  readonly elementCodes: ReadonlyMap<string, string>;
}

export interface PlainTextOverrides {
  /** Code by name of a primitive. */
  readonly primitives?: Readonly<Record<string, string>> | undefined;
  /** Code by name of an element. */
  readonly elements?: Readonly<Record<string, string>> | undefined;
}

const established = {
  primitives: `LR:Login-Request RL:Login-Response CP:ClientCapability-Request PC:ClientCapability-Response
    SQ:Service-Request QS:Service-Response OR:Logout-Request KA:KeepAlive-Request AK:KeepAlive-Response
    PO:Polling-Request ST:Status GL:GetList-Request LG:GetList-Response CL:CreateList-Request
    DL:DeleteList-Request LM:ListManage-Request ML:ListManage-Response GP:GetPresence-Request
    PG:GetPresence-Response SB:SubscribePresence-Request PN:PresenceNotification-Request
    UP:UpdatePresence-Request GB:GetBlockedList-Request CA:CreateAttributeList-Request DI:Disconnect`,
  elements: `CI:ClientID PW:Password SC:SessionCookie TL:TimeToLive UI:UserID CA:CapabilityList
    AP:AgreedCapabilityList RF:Functions AF:AllFunctions AR:AllFunctionsRequest ST:Result CR:CapabilityRequest
    NO:Nonce DI:DigestSchema KA:KeepAliveTime SI:SessionID CL:ContactList DC:DefaultContactList UN:NickList
    AN:AddNickList RN:RemoveNickList CP:ContactListProperties RL:ReceiveList PS:PresenceSubList DL:DefaultList
    AS:AutoSubscribe PR:Presence`,
};

const own = {
  primitives: `VD:WV-CSP-VersionDiscovery-Request DV:WV-CSP-VersionDiscovery-Response
    GI:GetSPInfo-Request IG:GetSPInfo-Response SR:SystemMessage-Request SU:SystemMessage-User
    NS:SubscribeNotification-Request NU:UnsubscribeNotification-Request NR:Notification-Request
    GF:GetPublicProfile-Request FG:GetPublicProfile-Response UF:UpdatePublicProfile-Request
    SS:Search-Request RS:Search-Response XS:StopSearch-Request
    IV:Invite-Request VI:Invite-Response IU:InviteUser-Request UI:InviteUser-Response
    CI:CancelInvite-Request CU:CancelInviteUser-Request VR:VerifyID-Request GM:GetMap-Request MG:GetMap-Response
    LC:CreateList-Response DA:DeleteAttributeList-Request GA:GetAttributeList-Request AG:GetAttributeList-Response
    US:UnsubscribePresence-Request GW:GetWatcherList-Request WG:GetWatcherList-Response
    PA:PresenceAuth-Request AP:PresenceAuth-User AC:CancelAuth-Request
    RA:GetReactiveAuthStatus-Request AR:GetReactiveAuthStatus-Response
    SM:SendMessage-Request MS:SendMessage-Response SD:SetDeliveryMethod-Request ME:GetMessageList-Request
    EM:GetMessageList-Response RM:RejectMessage-Request MN:MessageNotification GT:GetMessage-Request
    TG:GetMessage-Response NM:NewMessage MD:MessageDelivered DR:DeliveryReport-Request
    FM:ForwardMessage-Request MF:ForwardMessage-Response BG:GetBlockedList-Response BE:BlockEntity-Request
    GC:CreateGroup-Request GD:DeleteGroup-Request JG:JoinGroup-Request GJ:JoinGroup-Response
    VG:LeaveGroup-Request GV:LeaveGroup-Response GR:GetGroupMembers-Request RG:GetGroupMembers-Response
    JU:GetJoinedUsers-Request UJ:GetJoinedUsers-Response AM:AddGroupMembers-Request
    DM:RemoveGroupMembers-Request MA:MemberAccess-Request PP:GetGroupProps-Request GQ:GetGroupProps-Response
    SP:SetGroupProps-Request RJ:RejectList-Request JR:RejectList-Response SG:SubscribeGroupNotice-Request
    GS:SubscribeGroupNotice-Response GN:GroupChangeNotice
    EC:ExtendConversation-Request CE:ExtendConversation-Response`,
  elements: `DB:DigestBytes AI:ApplicationID RE:Recipient SE:Sender MI:MessageID CT:ContentType CE:ContentEncoding
    CZ:ContentSize DT:DateTime VA:Validity CD:ContentData DR:DeliveryReport GI:GroupID`,
};

/** Requests of the server; every other primitive named Request is a client's. */
const answers: ReadonlySet<string> = new Set(['Status', 'MessageDelivered']);
const requests: ReadonlySet<string> = new Set(['InviteUser-Response', 'Invite-Response']);

const modeOf = (name: string): TransactionMode =>
  answers.has(name) || (name.endsWith('-Response') && !requests.has(name)) ? 'Response' : 'Request';

const pairs = (text: string): [string, string][] =>
  text
    .trim()
    .split(/\s+/)
    .map((pair) => [pair.slice(0, 2), pair.slice(3)] as [string, string]);

function codesOf(
  text: string,
  overrides: Readonly<Record<string, string>> = {},
): ReadonlyMap<string, string> {
  const codes = new Map(pairs(text).map(([code, name]) => [name, code]));
  for (const [name, code] of Object.entries(overrides)) {
    for (const [other, taken] of codes) if (taken === code) codes.delete(other);
    codes.set(name, code);
  }
  return codes;
}

const turned = (codes: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...codes].map(([name, code]) => [code, name]));

/** The codes, with those of an operator in place of Parley's own. */
export function plainTextCodes(overrides: PlainTextOverrides = {}): PlainTextCodes {
  const primitiveCodes = codesOf(`${established.primitives} ${own.primitives}`, overrides.primitives);
  const elementCodes = codesOf(`${established.elements} ${own.elements}`, overrides.elements);
  const primitives = new Map(
    [...primitiveCodes].map(([name, code]) => [code, { name, mode: modeOf(name) }] as const),
  );
  return { primitives, primitiveCodes, elements: turned(elementCodes), elementCodes };
}

const twoWay = (
  text: string,
): { names: ReadonlyMap<string, string>; codes: ReadonlyMap<string, string> } => ({
  names: new Map(pairs(text)),
  codes: codesOf(text),
});

/** Inside CapabilityList and AgreedCapabilityList; the syntax writes no other capability to a client. */
export const capabilityCodes = twoWay(
  `CT:ClientType CI:CIRHTTPAddress DL:DefaultLanguage ID:InitialDeliveryMethod MT:MultiTrans PS:ParserSize
   PM:ServerPollMin SB:SupportedBearer SC:SupportedCIRMethod TA:TCPAddress TP:TCPPort UP:UDPPort
   OB:SupportedOfflineBearer`,
);
export const capabilityValues = twoWay(
  'SS:SSMS ST:STCP SU:SUDP WS:WAPSMS WU:WAPUDP MP:MOBILE_PHONE CO:COMPUTER PD:PDA CL:CLI OT:OTHER',
);
export const featureCodes = twoWay('FF:FundamentalFeat PF:PresenceFeat IF:IMFeat GE:GroupFeat');
export const attributeCodes = twoWay(
  `OS:OnlineStatus CF:ClientInfo UA:UserAvailability ST:StatusText SC:StatusContent CT:ClientType
   CP:ClientProducer CV:ClientVersion RC:ReferredContent CY:ContentType`,
);
/** Values of the presence attributes that have coded values. */
export const attributeValues = twoWay(
  'AV:AVAILABLE DI:DISCREET NA:NOT_AVAILABLE MP:MOBILE_PHONE CO:COMPUTER PD:PDA CL:CLI OT:OTHER',
);
export const codedAttributes: ReadonlySet<string> = new Set(['UserAvailability', 'ClientType']);
export const listPropertyCodes = twoWay('DN:DisplayName DE:Default');
