import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { beforeEach, describe, expect, it } from 'vitest';
import { ApiClient, CommandError } from '../../src/cli/api-client.js';
import { formatCsv, parseCsv } from '../../src/cli/csv.js';
import { gatewayCommand } from '../../src/cli/gateway.js';
import { child, element, textOf } from '../../src/imps/codec/element.js';
import { codeOf, detailsOf, message } from '../imps/tools/phone.js';
import { useCleanups } from '../tools/cleanups.js';
import { GatewayWorld } from './world.js';

let world: GatewayWorld;
let folder: string;
const cleanups = useCleanups();

/** Has a command line that cannot be read thrown; without this it ends the process. */
function failing(command: Command): void {
  command.exitOverride();
  command.commands.forEach(failing);
}

/** Runs `parley gateway …`. @returns what it printed, and why it failed */
async function parley(...args: readonly string[]): Promise<string> {
  const printed: string[] = [];
  const command = gatewayCommand({
    api: () => new ApiClient(world.parley.api, undefined),
    print: (text) => void printed.push(text),
    readSecret: () => Promise.resolve(''),
  });
  failing(command);
  try {
    await command.parseAsync([...args], { from: 'user' });
  } catch (error) {
    printed.push(`failed: ${(error as Error).message}`);
  }
  return printed.join('\n');
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const IMEI = '490154203237518';

describe('the map of the gateway by API and command', () => {
  beforeEach(async () => {
    world = await GatewayWorld.start();
    cleanups.push(() => world.close());
    folder = mkdtempSync(join(tmpdir(), 'parley-map-'));
    cleanups.push(() => rmSync(folder, { recursive: true }));
  });

  it('shows clients with their Instance IDs, changed Client-IDs and collisions', async () => {
    const first = await world.loggedIn('alice', { clientId: 'wv:A1.0$op@fly.x95.384759' });
    await first.request(element('Logout-Request'));
    await world.settled();
    await world.loggedIn('alice', { clientId: 'wv:A2.0$op@fly.x95.384759' });
    await world.loggedIn('bob', { clientId: `wv:A1.0$op@v.m.${IMEI}` });
    await world.loggedIn('bob', { clientId: `wv:A1.0$op@v.n.${IMEI}` });
    const all = await parley('map', 'list');
    expect(all).toContain('urn:gsma:imei:49015420-323751-0');
    const conflicts = await parley('map', 'list', '--conflicts');
    expect(conflicts).toMatch(/x95\.384759 .* handset +was wv:A1\.0\$op@fly\.x95\.384759/);
    expect(conflicts).toMatch(/v\.n\.490154203237518 .* uuid +collided/);
    expect(conflicts.split('\n')).toHaveLength(3);
    expect(await parley('map', 'list', 'wv:carol@ims.test')).toBe('no clients');
    expect(await parley()).toMatch(
      /domain ims\.test, 3 phones logged in; identities: mapped 3, collisions 1/,
    );
  });

  it('goes out and comes in again at another server, as CSV and as JSON', async () => {
    await world.loggedIn('alice', { clientId: 'JiMMY, "the" 1st' });
    for (const format of ['csv', 'json']) {
      const before = await parley('map', 'export', 'devices', '--format', format);
      const [{ user, uuid }] = JSON.parse(await parley('map', 'export', 'devices', '--format', 'json')) as [
        { user: string; uuid: string },
      ];
      expect(await parley('map', 'remove', user, uuid)).toBe(`removed ${uuid}`);
      expect(await parley('map', 'import', 'devices', file(`map.${format}`, before))).toBe(
        '1 added, 0 there already, 0 refused',
      );
      expect(await parley('map', 'import', 'devices', file(`map.${format}`, before))).toBe(
        '0 added, 1 there already, 0 refused',
      );
    }
  });

  it('says which rows it refuses, and takes the others', async () => {
    const rows = [
      'user,clientId,instance',
      'wv:alice@ims.test,one,urn:uuid:00000000-0000-4000-8000-000000000001',
      'wv:alice@ims.test,two,urn:uuid:00000000-0000-4000-8000-000000000001',
      'wv:alice@ims.test,three,urn:uuid:1',
      'wv:/group@ims.test,four,',
      'wv:alice@ims.test,,',
    ].join('\r\n');
    const printed = await parley('map', 'import', 'devices', file('map.csv', rows));
    expect(printed).toMatch(/row 2: gateway-instance-conflict/);
    expect(printed).toMatch(/row 3: instance-id-/);
    expect(printed).toMatch(/row 4: gateway-address-invalid/);
    expect(printed).toMatch(/row 5: gateway-row-invalid/);
    expect(printed).toContain('1 added, 0 there already, 4 refused');
  });

  it('lays addresses down, refuses one for two users, and says what an address is', async () => {
    expect(await parley('map', 'set', 'wv:rob@ims.test', 'sip:robert@example.net')).toContain(
      'is sip:robert',
    );
    expect(await parley('map', 'set', 'wv:rob@ims.test', 'sip:other@example.net')).toContain(
      'gateway-address-conflict',
    );
    expect(await parley('resolve', 'wv:rob@ims.test')).toContain('sip:robert@example.net  provisioned');
    expect(await parley('resolve', 'tel:+15550100001')).toContain('wv:alice@ims.test');
    expect(await parley('resolve', 'wv:zoe@ims.test')).toContain('sip:zoe@ims.test  rule');
    expect(await parley('resolve', 'wv:robert@example.net')).toContain('gateway-address-unknown');
    expect(await parley('map', 'unset', 'wv:rob@ims.test')).toContain('goes by rule');
    expect(await parley('resolve', 'wv:robert@example.net')).toContain('sip:robert@example.net  rule');
  });

  it('takes over users and their contact lists: they log in, are devices and have their friends', async () => {
    const users =
      'user,password,msisdn,aor,privateId\nwv:erin@ims.test,erin-secret,+15550100009,sip:erin@ims.test,erin@ims.test\n';
    expect(await parley('map', 'import', 'users', file('users.csv', users))).toContain('1 added');
    expect(await parley('map', 'import', 'users', file('users.csv', users))).toContain('1 there already');
    for (const other of [users.replace('erin-secret', 'another'), users.replace('0009', '0008')])
      expect(await parley('map', 'import', 'users', file('other.csv', other))).toContain(
        'row 1: gateway-user-differs',
      );
    const contacts = JSON.stringify([
      { user: 'wv:erin@ims.test', list: 'friends', default: true, contact: 'wv:bob@ims.test', name: 'Bob' },
      { user: 'wv:erin@ims.test', list: 'wv:erin/friends@ims.test', contact: 'wv:carol@ims.test' },
      { user: 'wv:erin@ims.test', list: 'wv:bob/friends@ims.test', contact: 'wv:carol@ims.test' },
    ]);
    expect(await parley('map', 'import', 'contacts', file('contacts.json', contacts))).toMatch(
      /row 3: imps-refused: .*752[^]*2 added, 0 there already, 1 refused/,
    );
    const erin = await world.loggedIn('erin');
    expect(await world.registrations('erin')).toHaveLength(1);
    const list = await erin.request(
      element(
        'ListManage-Request',
        element('ContactList', 'wv:erin/friends@ims.test'),
        element('ReceiveList', true),
      ),
    );
    const friends = child(list, 'NickList');
    expect(textOf(child(friends, 'NickName'), 'UserID')).toBe('wv:bob@ims.test');
    expect(textOf(friends, 'UserID')).toBe('wv:carol@ims.test');
    const exported = await parley('map', 'export', 'contacts');
    expect(exported).toContain('wv:erin@ims.test,wv:erin/friends@ims.test,friends,true,wv:bob@ims.test,Bob');
    expect(await parley('map', 'export', 'users')).not.toContain('secret');
  });

  it('takes over block lists, which hold at once, and takes them back', async () => {
    const rows = [
      'user,list,kind,entry,group,inUse',
      'wv:alice@ims.test,block,,wv:bob@ims.test,,',
      'wv:alice@ims.test,grant,GroupID,wv:alice/club@ims.test,,false',
      'wv:nobody@else.test,block,,wv:bob@ims.test,,',
      'wv:alice@ims.test,black,,wv:bob@ims.test,,',
      'wv:alice@ims.test,block,ScreenName,Bobby,,',
    ].join('\n');
    const path = file('access.csv', rows);
    const printed = await parley('map', 'import', 'access', path);
    expect(printed).toMatch(/row 3: imps-refused: .* 531/);
    expect(printed).toMatch(/row 4: gateway-row-invalid: .* list/);
    expect(printed).toMatch(/row 5: imps-refused: .* 800/);
    expect(printed).toContain('2 added, 0 there already, 3 refused');
    expect(await parley('map', 'import', 'access', path)).toContain('0 added, 2 there already, 3 refused');
    expect((await parley('map', 'export', 'access')).split('\n')).toEqual([
      'user,list,kind,entry,group,inUse',
      'wv:alice@ims.test,block,UserID,wv:bob@ims.test,,true',
      'wv:alice@ims.test,grant,GroupID,wv:alice/club@ims.test,,false',
    ]);
    const [alice, bob] = [await world.loggedIn('alice'), await world.loggedIn('bob')];
    const refused = await bob.request(message('blocked', ['wv:alice@ims.test']));
    expect(detailsOf(refused)).toEqual(['532 wv:alice@ims.test']);
    expect(await parley('map', 'withdraw', 'access', path)).toContain('2 taken back, 1 not there, 2 refused');
    expect(codeOf(await bob.request(message('heard', ['wv:alice@ims.test'])))).toBe(200);
    expect(await alice.messages()).toEqual(['heard']);
  });

  it('takes over groups with their members, who join them, and takes them back', async () => {
    const groups = [
      { group: 'wv:alice/club@ims.test', name: 'Club', accessType: 'Restricted', member: 'wv:bob@ims.test' },
      { group: 'wv:alice/club@ims.test', member: 'wv:carol@ims.test', role: 'Mod' },
      { group: 'wv:/all@ims.test', member: 'wv:bob@ims.test' },
      { group: 'wv:alice/club@ims.test', member: 'wv:nobody@else.test' },
      { group: 'wv:bob/own@ims.test', type: 'Secret' },
      { group: 'no group' },
    ];
    const path = file('groups.json', JSON.stringify(groups));
    const printed = await parley('map', 'import', 'groups', path);
    expect(printed).toMatch(/row 3: imps-refused: .* 531/);
    expect(printed).toMatch(/row 4: imps-refused: .* 531/);
    expect(printed).toMatch(/row 5: imps-refused: .* 806/);
    expect(printed).toMatch(/row 6: imps-refused: .* 800/);
    expect(printed).toContain('2 added, 0 there already, 4 refused');
    expect(await parley('map', 'import', 'groups', path)).toContain('0 added, 2 there already, 4 refused');
    const exported = JSON.parse(await parley('map', 'export', 'groups', '--format', 'json')) as object[];
    const club = {
      group: 'wv:alice/club@ims.test',
      owner: 'wv:alice@ims.test',
      name: 'Club',
      accessType: 'Restricted',
    };
    expect(exported).toMatchObject([
      { ...club, member: 'wv:alice@ims.test', role: 'Admin' },
      { ...club, member: 'wv:bob@ims.test', role: 'User' },
      { ...club, member: 'wv:carol@ims.test', role: 'Mod' },
    ]);
    const join = element('JoinGroup-Request', element('GroupID', 'wv:alice/club@ims.test'));
    const bob = await world.loggedIn('bob');
    expect((await bob.request(join)).name).toBe('JoinGroup-Response');
    await bob.request(element('LeaveGroup-Request', element('GroupID', 'wv:alice/club@ims.test')));
    const all = file('back.json', JSON.stringify(exported));
    expect(await parley('map', 'withdraw', 'groups', all)).toBe('2 taken back, 1 not there, 0 refused');
    expect(codeOf(await bob.request(join))).toBe(800);
  });

  it('takes back addresses, clients and contacts, unless others have come to their place', async () => {
    const devices =
      'user,clientId,instance\nwv:alice@ims.test,one,urn:uuid:00000000-0000-4000-8000-000000000001\n';
    const addresses = 'wv,aor\nwv:rob@ims.test,sip:robert@example.net\n';
    const contacts = 'user,list,contact\nwv:alice@ims.test,friends,wv:bob@ims.test\n';
    for (const [kind, text] of Object.entries({ devices, addresses, contacts })) {
      const path = file(`${kind}.csv`, text);
      expect(await parley('map', 'import', kind, path)).toContain('1 added');
      const other = file('other.csv', text.replace(/0001|robert/, '0002').replace('wv:bob', 'wv:carol'));
      expect(await parley('map', 'withdraw', kind, other)).toBe('0 taken back, 1 not there, 0 refused');
      expect(await parley('map', 'withdraw', kind, path)).toBe('1 taken back, 0 not there, 0 refused');
      expect(await parley('map', 'export', kind)).not.toMatch(/0001|robert|friends/);
    }
    expect(await parley('map', 'withdraw', 'users', '-')).toMatch(/^failed/);
  });

  it('takes the files of the migration guide as they stand', async () => {
    await world.close();
    world = await GatewayWorld.start({ domain: 'example.net', subscribers: [] });
    const guide = readFileSync(join(import.meta.dirname, '../../docs/gateway-migration.md'), 'utf8');
    const files = [
      ...guide.matchAll(/^`(users|addresses|devices|contacts|access|groups)\.csv`[^]*?\n\n((?: {4}.+\n)+)/gm),
    ];
    expect(files.map(([, kind]) => kind)).toEqual([
      'users',
      'addresses',
      'devices',
      'contacts',
      'access',
      'groups',
    ]);
    for (const [, kind, rows] of files) {
      const path = file(`${kind}.csv`, rows!.replace(/^ {4}/gm, ''));
      expect(await parley('map', 'import', kind!, path)).toBe('1 added, 0 there already, 0 refused');
    }
    expect(await parley('resolve', 'wv:ann@example.net')).toContain('sip:ann@example.net  provisioned');
    expect(await parley('map', 'list', 'wv:ann@example.net')).toContain('urn:gsma:imei:49015420-323751-0');
  });

  it('is counted by direction and reason', async () => {
    const metrics = await (await fetch(`${world.parley.api}/metrics`)).text();
    expect(metrics).toContain('# TYPE parley_gateway_passages_total counter');
  });
});

describe('a table in CSV', () => {
  it('keeps commas, quotes and line ends of fields, and reads them back', () => {
    const rows = [
      { a: 'x,y', b: '"z"\r\nw' },
      { a: '', b: 'ö' },
    ];
    expect(parseCsv(`\uFEFF${formatCsv(['a', 'b'], rows)}\r\n`)).toEqual(rows);
  });

  it.each(['a,b\n"open,1', 'a,b\n1,2,3', 'a\nx"y'])('that is broken is refused: %j', (text) =>
    expect(() => parseCsv(text)).toThrow(CommandError),
  );
});
