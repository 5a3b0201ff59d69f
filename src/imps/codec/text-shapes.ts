import { impsError } from '../errors.js';
import { functionTree, features } from '../vocabulary/functions.js';
import {
  attributeCodes,
  attributeValues,
  capabilityCodes,
  capabilityValues,
  codedAttributes,
  featureCodes,
  listPropertyCodes,
} from '../vocabulary/plain-text.js';
import { child, childrenOf, element, textOf, textsOf, type Element } from './element.js';
import type { TextValue } from './text-grammar.js';

/** How the elements of one kind are written as a value, and read from one. */
export interface Shape {
  /** @returns undefined when the element holds something that the shape has no place for */
  write(given: Element): TextValue | undefined;
  read(name: string, value: TextValue): Element;
}

const malformed = (name: string) => impsError('imps-text-malformed', `the value of ${name.slice(0, 40)}`);

/** Values in parentheses; `()` holds none. */
function group(name: string, value: TextValue | undefined): readonly TextValue[] {
  if (value === undefined || typeof value === 'string') throw malformed(name);
  return value.length === 1 && value[0] === '' ? [] : value;
}

function text(name: string, value: TextValue | undefined): string {
  if (typeof value !== 'string') throw malformed(name);
  return value;
}

const elementName = /^[A-Za-z][A-Za-z0-9-]{0,63}$/;

/** Any element: its text, or its children as pairs of name and value. */
export const plain: Shape = {
  write: (given) =>
    given.children.length > 0
      ? given.children.map((inner) => [inner.name, plain.write(inner)!])
      : given.bytes === undefined
        ? given.text
        : Buffer.from(given.bytes).toString('base64'),
  read: (name, value) => {
    if (!elementName.test(name)) throw malformed(name);
    if (typeof value === 'string') return element(name, value);
    return element(
      name,
      value.map((pair) => {
        const [inner, content, ...rest] = group(name, pair);
        if (content === undefined || rest.length > 0) throw malformed(name);
        return plain.read(text(name, inner), content);
      }),
    );
  },
};

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

const attributeName = (name: string, code: string): string => {
  const known = attributeCodes.names.get(code.toUpperCase()) ?? code;
  if (!elementName.test(known)) throw malformed(name);
  return known;
};
const attributeCode = (name: string): string => attributeCodes.codes.get(name) ?? name;

/** `(UA,T,AV)`, `(CF,T,((CT,MP),(CP,x)))`, and `OS` or `(CF,(CT,CP))` where a request names attributes. */
function writeAttribute(attribute: Element): TextValue {
  const code = attributeCode(attribute.name);
  const qualifier = textOf(attribute, 'Qualifier');
  const value = textOf(attribute, 'PresenceValue');
  // which client an attribute is of has no place in the syntax
  const inner = attribute.children.filter(
    ({ name }) => name !== 'Qualifier' && name !== 'PresenceValue' && name !== 'ClientID',
  );
  if (qualifier === undefined && value === undefined) {
    if (inner.length === 0) return attribute.text === '' ? code : [code, attribute.text];
    if (inner.every(({ children, text }) => children.length === 0 && text === ''))
      return [code, inner.map(({ name }) => attributeCode(name))];
  }
  if (value !== undefined) {
    const coded = codedAttributes.has(attribute.name) ? attributeValues.codes.get(value) : undefined;
    return [code, qualifier ?? '', coded ?? value];
  }
  const pairs = inner.map((part): TextValue => {
    const coded = codedAttributes.has(part.name) ? attributeValues.codes.get(part.text) : undefined;
    return [attributeCode(part.name), coded ?? plain.write(part)!];
  });
  return pairs.length === 0 ? [code, qualifier ?? '', ''] : [code, qualifier ?? '', pairs];
}

function readAttribute(name: string, value: TextValue): Element {
  if (typeof value === 'string') return element(attributeName(name, value));
  const [code, second, third] = value;
  const attribute = attributeName(name, text(name, code));
  const qualifier =
    third === undefined || second === '' ? undefined : element('Qualifier', text(name, second));
  const content = third ?? second;
  if (content === undefined) return element(attribute);
  if (typeof content === 'string') {
    const coded = codedAttributes.has(attribute)
      ? attributeValues.names.get(content.toUpperCase())
      : undefined;
    if (third === undefined) return element(attribute, coded ?? content);
    return element(
      attribute,
      qualifier,
      content === '' ? undefined : element('PresenceValue', coded ?? content),
    );
  }
  return element(
    attribute,
    qualifier,
    subAttributes(content).map((part) => {
      if (typeof part === 'string') return element(attributeName(name, part));
      const [partCode, partValue] = part;
      const partName = attributeName(name, text(name, partCode));
      if (typeof partValue !== 'string') return plain.read(partName, partValue ?? '');
      const coded = codedAttributes.has(partName)
        ? attributeValues.names.get(partValue.toUpperCase())
        : undefined;
      return element(partName, coded ?? partValue);
    }),
  );
}

/** A single part may stand without the parentheses of the list: `(CT,MP)` for `((CT,MP))`. */
const subAttributes = (content: readonly TextValue[]): readonly TextValue[] =>
  content.length === 2 &&
  typeof content[0] === 'string' &&
  typeof content[1] === 'string' &&
  attributeCodes.codes.get(content[1]) === undefined &&
  !attributeCodes.names.has(content[1].toUpperCase())
    ? [content]
    : content;

/** `PS=(OS,UA)`, `UV=((UA,T,AV))`; one attribute alone may stand without the parentheses of the list. */
export const presenceList: Shape = {
  write: (given) => {
    const attributes = given.children.map(writeAttribute);
    return attributes.length === 1 && typeof attributes[0] === 'string' ? attributes[0] : attributes;
  },
  read: (name, value) => {
    if (typeof value === 'string')
      return element(name, value === '' ? undefined : readAttribute(name, value));
    const alone = value.length === 2 && typeof value[0] === 'string' && typeof value[1] !== 'string';
    if (alone) return element(name, readAttribute(name, value));
    return element(
      name,
      group(name, value).map((each) => readAttribute(name, each)),
    );
  },
};

/** `PR=((wv:user,((OS,T,T))))`, a user with its attributes. */
export const presence: Shape = {
  write: (given) => {
    const known = given.children.every(({ name }) => name === 'UserID' || name === 'PresenceSubList');
    const lists = childrenOf(given, 'PresenceSubList');
    if (!known || lists.length > 1) return undefined;
    const user = textOf(given, 'UserID') ?? '';
    return lists[0] ? [user, lists[0].children.map(writeAttribute)] : [user];
  },
  read: (name, value) => {
    const [user, list, more] = group(name, value);
    if (typeof user !== 'string' || more !== undefined) return plain.read(name, value);
    return element(
      name,
      element('UserID', user),
      list === undefined ? undefined : presenceList.read('PresenceSubList', list),
    );
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
export const shapes: Readonly<Record<string, Shape>> = {
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
};
