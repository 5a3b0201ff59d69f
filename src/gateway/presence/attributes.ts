import { child, element, textOf, type Element } from '../../imps/index.js';
import type { PresenceView } from './pidf.js';

const attribute = (name: string, value: string | boolean): Element =>
  element(name, element('Qualifier', true), element('PresenceValue', value));

/** What takes an attribute away. */
const absent = (name: string): Element => element(name, element('Qualifier', false));

/** Names of the attributes that both sides have. */
export const ATTRIBUTES = ['OnlineStatus', 'UserAvailability', 'StatusMood', 'StatusText'] as const;

/** A PresenceSubList; what is absent is taken away. */
export function toAttributes({ open, availability, mood, text }: PresenceView): Element {
  const of = (name: string, value: string | boolean | undefined): Element =>
    value === undefined ? absent(name) : attribute(name, value);
  return element(
    'PresenceSubList',
    of('OnlineStatus', open),
    of('UserAvailability', availability),
    of('StatusMood', mood),
    of('StatusText', text),
  );
}

/** What a PresenceSubList says; values whose Qualifier is F are not valid. */
export function fromAttributes(list: Element): PresenceView {
  const of = (name: string): string | undefined => {
    const found = child(list, name);
    return textOf(found, 'Qualifier') === 'F' ? undefined : textOf(found, 'PresenceValue');
  };
  const online = of('OnlineStatus');
  return {
    open: online === undefined ? undefined : online === 'T',
    availability: of('UserAvailability'),
    mood: of('StatusMood'),
    text: of('StatusText'),
  };
}
