import { Command } from 'commander';
import type { CommandContext } from './program.js';
import { formatTable } from './table.js';

interface GroupView {
  readonly id: string;
  readonly uri: string;
  readonly kind: string;
  readonly access: string;
  readonly subject?: string;
  readonly members: readonly {
    readonly identity: string;
    readonly state: string;
    readonly role: string;
    readonly endpoints: number;
  }[];
}

/** The first three as the API takes them. */
interface MakeOptions {
  readonly subject?: string;
  readonly maximum?: number;
  readonly minimum?: number;
  readonly open?: boolean;
  readonly longLived?: boolean;
}

/** States of members for whom messages are kept. */
const hasPlace: ReadonlySet<string> = new Set(['connected', 'away', 'invited']);

/** `parley groups [list|show|make|close|add|remove]`. */
export function groupsCommand({ api, print }: CommandContext): Command {
  const command = new Command('groups').description('group sessions and the groups that are kept');
  const of = (id: string): string => `/groups/${encodeURIComponent(id)}`;
  command
    .command('list', { isDefault: true })
    .description('all groups')
    .action(async () => {
      const all = await api().pages<GroupView>('/groups', 'groups');
      print(
        formatTable(
          ['ID', 'KIND', 'ACCESS', 'THERE', 'MEMBERS', 'SUBJECT'],
          all.map(({ id, kind, access, subject, members }) => [
            id,
            kind,
            access,
            String(members.filter(({ state }) => state === 'connected').length),
            String(members.filter(({ state }) => hasPlace.has(state)).length),
            subject ?? '',
          ]),
          'no groups',
        ),
      );
    });
  command
    .command('show')
    .description('the members of a group')
    .argument('<id>')
    .action(async (id: string) => {
      const { uri, members } = await api().call<GroupView>('GET', of(id));
      print(uri);
      print(
        formatTable(
          ['MEMBER', 'STATE', 'ROLE', 'SESSIONS'],
          members.map(({ identity, state, role, endpoints }) => [identity, state, role, String(endpoints)]),
          'no members',
        ),
      );
    });
  command
    .command('make')
    .description('make a group that is kept')
    .argument('<name>', 'part of its address, sip:gs-NAME@DOMAIN')
    .argument('<chairman>', 'SIP or tel URI')
    .argument('[members...]')
    .option('--subject <text>')
    .option('--maximum <members>', 'members that it may have', Number)
    .option('--minimum <members>', 'members below which its sessions end', Number)
    .option('--open', 'anybody of the domain may join')
    .option('--long-lived', 'its members join by themselves; else the first who comes has all invited')
    .action(
      async (
        name: string,
        chairman: string,
        members: string[],
        { open, longLived, ...more }: MakeOptions,
      ) => {
        const { uri } = await api().call<GroupView>('POST', '/groups', {
          name,
          chairman,
          members,
          ...more,
          access: open ? 'open' : 'closed',
          kind: longLived ? 'long-lived' : 'pre-defined',
        });
        print(`made ${uri}`);
      },
    );
  command
    .command('close')
    .description('close a group for good')
    .argument('<id>')
    .action(async (id: string) => {
      await api().call('DELETE', of(id));
      print(`closed ${id}`);
    });
  command
    .command('add')
    .description('make somebody a member')
    .argument('<id>')
    .argument('<member>', 'SIP or tel URI')
    .action(async (id: string, identity: string) => {
      await api().call('POST', `${of(id)}/members`, { identity });
      print(`added ${identity}`);
    });
  command
    .command('remove')
    .description('put a member out')
    .argument('<id>')
    .argument('<member>', 'SIP or tel URI')
    .action(async (id: string, identity: string) => {
      await api().call('DELETE', `${of(id)}/members/${encodeURIComponent(identity)}`);
      print(`removed ${identity}`);
    });
  return command;
}
