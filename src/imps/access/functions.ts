import { child, element, flagOf, type Element } from '../codec/element.js';
import type { Handler } from '../context.js';
import { clientIdElement } from '../address/client-id.js';
import { CspRefusal } from '../status.js';
import { features, functionTree, notOffered, type FunctionEntry } from '../vocabulary/functions.js';
import type { CspVersion } from '../vocabulary/versions.js';

const offered = (version: CspVersion): FunctionEntry[] =>
  functionTree.filter((entry) => entry.versions.includes(version) && !notOffered.has(entry.code));

/** Every function that a session of that version may have. */
export const offeredCodes = (version: CspVersion): string[] => offered(version).map(({ code }) => code);

/**
 * Codes that a WVCSPFeat tree names. An element without children stands for all below it, and MF, MP, MM and MG for
 * their whole feature, as which of its functions are mandatory is the operator's to say.
 */
export function requestedCodes(tree: Element | undefined): Set<string> {
  const codes = new Set<string>();
  const take = (wanted: (entry: FunctionEntry) => boolean): void => {
    for (const entry of functionTree) if (wanted(entry)) codes.add(entry.code);
  };
  if (!tree) return codes;
  if (tree.children.length === 0) take(() => true);
  for (const feature of tree.children) {
    const mandatory = features[feature.name];
    if (mandatory === undefined) continue;
    if (feature.children.length === 0) take((entry) => entry.feature === feature.name);
    for (const group of feature.children) {
      if (group.name === mandatory) take((entry) => entry.feature === feature.name);
      else if (group.children.length === 0) take((entry) => entry.group === group.name);
      for (const leaf of group.children) codes.add(leaf.name);
    }
  }
  return codes;
}

/** The tree of some functions: a feature or group that has all of its own is written without children. */
export function functionsTree(codes: ReadonlySet<string>, version: CspVersion): Element {
  const known = functionTree.filter((entry) => entry.versions.includes(version));
  const named: Element[] = [];
  for (const feature of Object.keys(features)) {
    const entries = known.filter((entry) => entry.feature === feature);
    const chosen = entries.filter((entry) => codes.has(entry.code));
    if (chosen.length === 0) continue;
    if (chosen.length === entries.length) {
      named.push(element(feature));
      continue;
    }
    const groups = [...new Set(chosen.map((entry) => entry.group))].map((group) => {
      const inside = chosen.filter((entry) => entry.group === group);
      const whole = inside.length === entries.filter((entry) => entry.group === group).length;
      return whole
        ? element(group)
        : element(
            group,
            inside.map(({ code }) => element(code)),
          );
    });
    named.push(element(feature, groups));
  }
  return element('WVCSPFeat', named);
}

/** What a session gets of what it asked for, and what it does not get. */
export function negotiateFunctions(
  functions: Element | undefined,
  version: CspVersion,
): { readonly granted: readonly string[]; readonly refused: ReadonlySet<string> } {
  const wanted = requestedCodes(child(functions, 'WVCSPFeat'));
  const available = new Set(offeredCodes(version));
  const ofVersion = functionTree.filter((entry) => entry.versions.includes(version));
  const refused = new Set(
    ofVersion.filter(({ code }) => wanted.has(code) && !available.has(code)).map(({ code }) => code),
  );
  return { granted: [...available].filter((code) => wanted.has(code)), refused };
}

/** Service negotiation: Functions of the answer are the ones that are not available. */
export const serviceRequest: Handler = async (context, { session, version, primitive }) => {
  const functions = child(primitive, 'Functions');
  if (!functions && flagOf(primitive, 'AllFunctionsRequest') === undefined) throw new CspRefusal(400);
  const { granted, refused } = negotiateFunctions(functions, version);
  // who only asks what there is changes nothing
  if (functions) await context.sessions.change(session.id, (current) => ({ ...current, functions: granted }));
  context.trail.record({
    code: 'imps.services-agreed',
    outcome: 'accepted',
    clause: 'CSP service negotiation',
    subject: session.user,
    trace: session.id,
    detail: `${granted.length} functions granted, ${refused.size} not available`,
  });
  return element(
    'Service-Response',
    version === '1.1' ? clientIdElement(session.client) : undefined,
    refused.size > 0 ? element('Functions', functionsTree(refused, version)) : undefined,
    flagOf(primitive, 'AllFunctionsRequest')
      ? element('AllFunctions', functionsTree(new Set(offeredCodes(version)), version))
      : undefined,
  );
};
