import { parseResourceId, parseUserId, userPartOf, domainOf, type UserId } from '../address/wv-address.js';
import { child, element, flagOf, textOf, textsOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { CspRefusal, Failures, codeFor, result } from '../status.js';
import { accepts } from './access-lists.js';
import { notifyTypes } from './general-notifications.js';
import { join, screenNameOf } from './group-join.js';
import { defaultGroupProperties, readWelcome } from './group-properties.js';
import { groups, indexMembers, type GroupRecord } from './group-store.js';
import { checkGroupLimit } from './groups.js';
import { invite } from './invitations.js';

/**
 * Who is to be in the conversation besides the one who extends it: the other of the two first.
 * @throws CspRefusal 400 for nobody, 402 for more than the operator allows
 */
async function wantedUsers(
  context: ImpsContext,
  from: UserId,
  primitive: Element,
  failures: Failures,
): Promise<UserId[]> {
  const other = textOf(child(primitive, 'ExtendConversationUser'), 'UserID');
  const added = textsOf(child(primitive, 'UserIDList'), 'UserID');
  if (other === undefined || added.length === 0) throw new CspRefusal(400, 'no users');
  if (added.length >= context.config.messages.recipientLimit) throw new CspRefusal(402, 'too many users');
  const wanted = new Set<UserId>();
  for (const text of [other, ...added]) {
    const user = parseUserId(text, context.config.domain);
    if (user === from) continue;
    // a private group has the users of this server
    const state = user && (await context.ports.users.find(user))?.state;
    if (user === undefined || (state ?? 'confirming') === 'confirming')
      failures.add(531, element('UserID', text));
    else if (!(await accepts(context, user, { user: from }))) failures.add(532, element('UserID', text));
    else wanted.add(user);
  }
  return [...wanted];
}

/**
 * Turns a conversation of two into a private group conversation (document 004, definitions): a group that nobody finds
 * and only who was asked may join, that the one who extends has joined, and that goes with the last who leaves. The
 * others are invited to it with InviteType EC under the ExtendConversationID, clients before 1.3 with GR; the clients of
 * both that subscribed to it hear notification EC. How the parts work together is established in no source.
 */
export const extendConversation: Handler = async (context, { session, primitive, seed }) => {
  const conversation = textOf(primitive, 'ExtendConversationID')?.trim();
  if (!conversation || conversation.length > 100) throw new CspRefusal(400, 'no ExtendConversationID');
  const { user } = session;
  const failures = new Failures();
  const wanted = await wantedUsers(context, user, primitive, failures);
  const id = parseResourceId(`wv:${userPartOf(user)}/~ec-${seed}@${domainOf(user)}`, context.config.domain);
  if (id === undefined) throw new CspRefusal(500);
  let done = 0;
  if (wanted.length > 0) {
    await checkGroupLimit(context, user);
    const group: GroupRecord = {
      id,
      owner: user,
      createdAt: context.clock.now(),
      properties: {
        ...defaultGroupProperties,
        Type: 'Private',
        Searchable: 'F',
        AutoDelete: 'T',
        RequireInvitation: 'T',
      },
      welcome: readWelcome(primitive),
      members: { [user]: { role: 'Admin', own: {} } },
      rejected: [],
      invited: wanted,
      joined: {},
    };
    // done again after a crash it is the same group
    await context.store.update(groups, id, (current) =>
      current ? { kind: 'keep', result: undefined } : { kind: 'put', value: group, result: undefined },
    );
    await indexMembers(context, id, [user], []);
    const notices = flagOf(primitive, 'SubscribeNotification') ?? false;
    await join(context, session, id, screenNameOf(primitive), notices, {});
    const asking = element('Invite-Request', element('GroupID', id));
    for (const invitee of wanted) {
      const record = { inviter: user, invitee, id: conversation, type: 'EC', group: id };
      const code = await invite(context, asking, record);
      if (code === 200) done++;
      else failures.add(code, element('UserID', invitee));
    }
    const data = [
      element('GroupID', id),
      element(
        'UserIDList',
        wanted.map((each) => element('UserID', each)),
      ),
    ];
    await notifyTypes(context, user, 'EC', data, { except: session.id });
    await notifyTypes(context, wanted[0]!, 'EC', data);
  }
  const details = failures.details();
  return element(
    'ExtendConversation-Response',
    element('ExtendConversationID', conversation),
    done > 0 ? element('GroupID', id) : undefined,
    result(codeFor(done, details), details),
  );
};
