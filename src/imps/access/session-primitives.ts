import { clientIdElement, readClientId } from '../address/client-id.js';
import { child, element, numberOf, textsOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { endSession, sessionChanged } from '../lifecycle.js';
import { CspRefusal, result, status } from '../status.js';
import { versionNames, versions, type CspVersion } from '../vocabulary/versions.js';
import { keepAlive } from './login.js';

/** Status, and Disconnect in 1.1. */
export const logoutAnswer = (version: CspVersion): Element =>
  version === '1.1' ? element('Disconnect', result(200)) : status(200);

/** Ends the session at its client's wish. */
export const logoutRequest: Handler = async (context, { session, version }) => {
  await endSession(context, session, undefined);
  return logoutAnswer(version);
};

/** Restarts the keep-alive timer, as every transaction does, and changes it on request. */
export const keepAliveRequest: Handler = async (context, { session, primitive }) => {
  const asked = child(primitive, 'TimeToLive');
  if (!asked)
    return element('KeepAlive-Response', result(200), element('KeepAliveTime', session.keepAliveSeconds));
  const timeToLive = numberOf(primitive, 'TimeToLive');
  if (timeToLive === undefined || timeToLive === 0) throw new CspRefusal(605);
  const keepAliveSeconds = keepAlive(context, timeToLive);
  const seenAt = context.clock.now();
  await context.sessions.change(session.id, (current) => ({ ...current, keepAliveSeconds, seenAt }));
  await sessionChanged(context, session.id);
  return element(
    'KeepAlive-Response',
    result(200),
    keepAliveSeconds === timeToLive ? undefined : element('KeepAliveTime', keepAliveSeconds),
  );
};

/** Who provides the service; may be asked without a session. */
export function serviceProviderInfo(context: ImpsContext, primitive: Element): Element {
  const { name, description, url } = context.config.serviceProvider;
  const client = readClientId(primitive);
  return element(
    'GetSPInfo-Response',
    client && clientIdElement(client),
    element('Name', name),
    element('Description', description),
    element('URL', url),
  );
}

/** The namespaces of every version that is spoken here, or of those among the asked ones. */
export function versionDiscovery(primitive: Element): Element {
  const asked = textsOf(child(primitive, 'VersionList'), 'SessionNSName').map((name) => name.trim());
  const known = versions.filter((version) => asked.includes(versionNames[version].message));
  const spoken: readonly CspVersion[] = known.length > 0 ? known : versions;
  const names = spoken.map((version) => versionNames[version]);
  return element(
    'WV-CSP-VersionDiscovery-Response',
    element(
      'VersionList',
      names.map((name) => element('SessionNSName', name.message)),
      names.map((name) => element('TransactionNSName', name.transactionContent)),
      names.map((name) => element('PresenceAttributeNSName', name.presence)),
    ),
  );
}
