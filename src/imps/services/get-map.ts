import { parseUserId } from '../address/wv-address.js';
import { child, element, textOf, type Element } from '../codec/element.js';
import type { Handler } from '../context.js';
import { CspRefusal } from '../status.js';
import { granted } from './presence-authorization.js';
import { presenceOf } from './presence-store.js';

const coordinate = /^[+-]?\d{1,3}(\.\d{1,12})?$/;

/** The address of a map of where a user is, or of a position that the client gives. */
export const getMap: Handler = async (context, { session, version, primitive }) => {
  const text = textOf(primitive, 'UserID');
  let location: Element | undefined;
  if (text === undefined) location = child(child(primitive, 'PresenceSubList'), 'GeoLocation');
  else {
    const user = parseUserId(text, context.config.domain);
    if (user === undefined || !(await context.ports.users.find(user))) throw new CspRefusal(531);
    const allowed = await granted(context, user, session.user);
    if (!allowed?.has('GeoLocation')) throw new CspRefusal(534);
    location = child(await presenceOf(context, user, new Set(['GeoLocation']), version), 'GeoLocation');
  }
  const latitude = textOf(location, 'Latitude')?.trim() ?? '';
  const longitude = textOf(location, 'Longitude')?.trim() ?? '';
  if (!location) throw new CspRefusal(404, 'no position');
  if (!coordinate.test(latitude) || !coordinate.test(longitude)) throw new CspRefusal(402, 'position');
  const url = context.config.mapUrl.replace('{latitude}', latitude).replace('{longitude}', longitude);
  return element('GetMap-Response', element('URL', url));
};
