import { byName } from '../vocabulary/by-name.js';
import { functionTree, features } from '../vocabulary/functions.js';
import {
  capabilityCodes,
  capabilityValues,
  featureCodes,
  listPropertyCodes,
} from '../vocabulary/plain-text.js';
import { child, childrenOf, element, textOf, textsOf, type Element } from './element.js';
import type { TextValue } from './text-grammar.js';
import { presence, presenceList } from './text-presence.js';
import { group, plain, text, type Shape } from './text-shape.js';

/** `CI=wv:phone…`, or the telephone number when there is no URL: with SMS the network tells the number. */
const clientId: Shape = {
  write: (given) => textOf(given, 'URL') ?? textOf(given, 'MSISDN') ?? '',
  read: (name, value) => {
    if (typeof value !== 'string') return plain.read(name, value);
    return element(name, element(/^\+?\d{5,15}$/.test(value) ? 'MSISDN' : 'URL', value));
  },
};

/** `ST=200`, `ST=(409,"Invalid password")`; what else a Result holds goes into parameters of its own. */
const result: Shape = {
  write: (given) => {
    const description = textOf(given, 'Description');
    const code = textOf(given, 'Code') ?? '';
    return description === undefined ? code : [code, description];
  },
  read: (name, value) => {
    const [code, description] = typeof value === 'string' ? [value] : value;
    return element(
      name,
      element('Code', text(name, code)),
      description === undefined ? undefined : element('Description', text(name, description)),
    );
  },
};

/** `UN=((nick,wv:user),(,wv:user))`. */
const nickList: Shape = {
  write: (given) =>
    given.children.map((entry) =>
      entry.name === 'NickName'
        ? [
            textOf(entry, 'Name') ?? '',
            textOf(entry, 'UserID') ?? textOf(child(entry, 'User'), 'UserID') ?? '',
          ]
        : ['', entry.text],
    ),
  read: (name, value) =>
    element(
      name,
      group(name, value).map((pair) => {
        const [nick, user] = typeof pair === 'string' ? ['', pair] : pair;
        const userId = element('UserID', text(name, user));
        // who is taken off a list is named by the address alone
        if (name === 'RemoveNickList' || nick === '') return userId;
        return element('NickName', element('Name', text(name, nick)), userId);
      }),
    ),
};

/** `CP=((DN,Friends),(DE,T))`. */
const listProperties: Shape = {
  write: (given) =>
    childrenOf(given, 'Property').map((property) => {
      const name = textOf(property, 'Name') ?? '';
      return [listPropertyCodes.codes.get(name) ?? name, textOf(property, 'Value') ?? ''];
    }),
  read: (name, value) =>
    element(
      name,
      group(name, value).map((pair) => {
        const [code, content] = group(name, pair);
        const key = text(name, code);
        return element(
          'Property',
          element('Name', listPropertyCodes.names.get(key.toUpperCase()) ?? key),
          element('Value', text(name, content)),
        );
      }),
    ),
};

/**
 * `CA=((CT,MP),(SC,ST))`. A capability without a code is written by its name, but not to a client, which would refuse
 * the whole list.
 */
const capabilities: Shape = {
  write: (given) =>
    given.children.flatMap((capability) => {
      const code = capabilityCodes.codes.get(
        capability.name === 'CIRURL' ? 'CIRHTTPAddress' : capability.name,
      );
      if (code === undefined && given.name === 'AgreedCapabilityList') return [];
      const value = textOf(capability, 'URL') ?? plain.write(capability)!;
      const coded = typeof value === 'string' ? capabilityValues.codes.get(value) : undefined;
      return [[code ?? capability.name, coded ?? value]];
    }),
  read: (name, value) =>
    element(
      name,
      group(name, value).map((pair) => {
        const [code, content] = group(name, pair);
        const key = text(name, code);
        const capability = capabilityCodes.names.get(key.toUpperCase()) ?? key;
        if (typeof content !== 'string') return plain.read(capability, content ?? '');
        const meaning = capabilityValues.names.get(content.toUpperCase()) ?? content;
        return capability === 'CIRHTTPAddress'
          ? element(capability, element('URL', content))
          : plain.read(capability, meaning);
      }),
    ),
};

/** `RF=(FF,PF,SRCH)`: features by their codes, single groups and functions by their names of CSP. */
const functions: Shape = {
  write: (given) => {
    const leaves = (inner: Element): TextValue[] =>
      inner.children.length > 0
        ? inner.children.flatMap(leaves)
        : [featureCodes.codes.get(inner.name) ?? inner.name];
    return (child(given, 'WVCSPFeat')?.children ?? []).flatMap(leaves);
  },
  read: (name, value) => {
    const given = (typeof value === 'string' ? [value] : value).map((code) => text(name, code).toUpperCase());
    const wanted = new Set(given.map((code) => (featureCodes.names.get(code) ?? code).toUpperCase()));
    const whole = wanted.has('WV');
    const found = Object.entries(features).flatMap(([feature, mandatory]) => {
      if (whole || wanted.has(feature.toUpperCase())) return [element(feature)];
      const inside = functionTree.filter((entry) => entry.feature === feature);
      const groups = [...new Set(inside.map((entry) => entry.group))].flatMap((name) => {
        if (wanted.has(name.toUpperCase())) return [element(name)];
        const codes = inside.filter(({ group, code }) => group === name && wanted.has(code));
        return codes.length === 0
          ? []
          : [
              element(
                name,
                codes.map(({ code }) => element(code)),
              ),
            ];
      });
      if (wanted.has(mandatory)) groups.unshift(element(mandatory));
      return groups.length === 0 ? [] : [element(feature, groups)];
    });
    return element(name, element('WVCSPFeat', found));
  },
};

/** `RE=(wv:a,wv:b)`: users; a group or a contact list among them takes the plain shape. */
const parties: Shape = {
  write: (given) => {
    const simple = given.children.every(
      ({ name, children }) => name === 'User' && children.length === 1 && children[0]!.name === 'UserID',
    );
    const users = childrenOf(given, 'User').flatMap((user) => textsOf(user, 'UserID'));
    if (!simple || users.length === 0) return undefined;
    return users.length === 1 ? users[0] : users;
  },
  read: (name, value) => {
    const users = typeof value === 'string' ? [value] : value;
    if (users.some((user) => typeof user !== 'string')) return plain.read(name, value);
    return element(
      name,
      users.map((user) => element('User', element('UserID', text(name, user)))),
    );
  },
};

/** Elements that are not written as {@link plain}. */
export const shapes: Readonly<Record<string, Shape>> = byName({
  ClientID: clientId,
  Result: result,
  NickList: nickList,
  AddNickList: nickList,
  RemoveNickList: nickList,
  ContactListProperties: listProperties,
  CapabilityList: capabilities,
  AgreedCapabilityList: capabilities,
  Functions: functions,
  AllFunctions: functions,
  PresenceSubList: presenceList,
  Presence: presence,
  Recipient: parties,
  Sender: parties,
});
