import { attributeCodes, attributeValues, codedAttributes } from '../vocabulary/plain-text.js';
import { childrenOf, element, textOf, type Element } from './element.js';
import type { TextValue } from './text-grammar.js';
import { elementName, group, malformed, plain, text, type Shape } from './text-shape.js';

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
    if (inner.every(({ children, text }) => children.length === 0 && text === '')) {
      const names = inner.map(({ name }) => attributeCode(name));
      // two names of which the second has no code would be read as a name with its value
      return [code, subAttributes(names) === names ? names : names.map((each) => [each])];
    }
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

function writeAttributes(list: Element): TextValue[] {
  const attributes = list.children.map(writeAttribute);
  const [first, second] = attributes;
  // a name before a list would be read as one attribute
  const asOne = attributes.length === 2 && typeof first === 'string' && typeof second !== 'string';
  return asOne ? [[first], second!] : attributes;
}

/** `PS=(OS,UA)`, `UV=((UA,T,AV))`; one attribute alone may stand without the parentheses of the list. */
export const presenceList: Shape = {
  write: (given) => {
    const attributes = writeAttributes(given);
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
    return lists[0] ? [user, writeAttributes(lists[0])] : [user];
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
