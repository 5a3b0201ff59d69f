import { ParleyError } from '../../base/errors.js';
import { extendedExpression } from '../../base/extended-expression.js';
import type { SipRequest } from '../../sip/message/message.js';
import { leafParts, parseMultipart } from '../../sip/message/multipart.js';
import { parseUri } from '../../sip/message/uri.js';
import '../errors.js';
import type { SessionCase } from '../service.js';
import {
  isServer,
  type FilterCriterion,
  type RegistrationType,
  type ServicePointTrigger,
  type ServiceProfile,
} from './criteria.js';

/** What a criterion is held against. */
export interface TriggerSubject {
  readonly request: SipRequest;
  readonly sessionCase: SessionCase;
  /** Whether the served user has a device registered. */
  readonly registered: boolean;
  /** What a REGISTER did. */
  readonly registrationType?: RegistrationType;
}

/** A criterion ready to be asked. */
export interface CompiledCriterion {
  readonly criterion: FilterCriterion;
  readonly holds: (subject: TriggerSubject) => boolean;
  /** Whether it names a server and can hold for a REGISTER. */
  readonly tellsOfRegistrations: boolean;
}

type Test = (subject: TriggerSubject) => boolean;

const MAX_CRITERIA = 64;
const MAX_TRIGGERS = 256;
const MAX_PATTERN = 512;
/** Characters of a value that a pattern is held against. */
const MAX_VALUE = 2_048;

/** Criteria in order of priority. @throws ParleyError `profile-invalid`, saying what is wrong. */
export function compileProfile(profile: ServiceProfile): readonly CompiledCriterion[] {
  const { criteria } = profile;
  if (criteria.length > MAX_CRITERIA) throw invalid(`more than ${MAX_CRITERIA} criteria`);
  if (new Set(criteria.map(({ priority }) => priority)).size !== criteria.length)
    throw invalid('two criteria with one priority');
  return criteria
    .map((criterion) => ({
      criterion,
      holds: compileCriterion(criterion),
      tellsOfRegistrations: isServer(criterion.server) && canHoldForRegister(criterion),
    }))
    .sort((a, b) => a.criterion.priority - b.criterion.priority);
}

function compileCriterion({ trigger, profilePart, server }: FilterCriterion): Test {
  checkServer(server);
  const part: Test | undefined =
    profilePart === undefined ? undefined : ({ registered }) => registered === (profilePart === 'registered');
  const point = trigger ? compilePoint(trigger.form, trigger.groups) : undefined;
  if (!part) return point ?? (() => true);
  return point ? (subject) => part(subject) && point(subject) : part;
}

/** False where other methods or session cases are asked for, as nearly all criteria do. */
function canHoldForRegister({ trigger }: FilterCriterion): boolean {
  if (!trigger) return true;
  const can = ({ method, sessionCase, negated = false }: ServicePointTrigger): boolean =>
    method !== undefined
      ? (method.toUpperCase() === 'REGISTER') !== negated
      : sessionCase === undefined || (sessionCase === 'originating') !== negated;
  return trigger.form === 'cnf'
    ? trigger.groups.every((group) => group.some(can))
    : trigger.groups.some((group) => group.every(can));
}

function checkServer(server: string): void {
  if (server === '') throw invalid('a criterion without server');
  if (!isServer(server)) return;
  try {
    parseUri(server);
  } catch (error) {
    throw new ParleyError('profile-invalid', 'the URI of a server', { cause: error });
  }
}

function compilePoint(form: 'cnf' | 'dnf', groups: readonly (readonly ServicePointTrigger[])[]): Test {
  if (groups.length === 0 || groups.some((group) => group.length === 0))
    throw invalid('a trigger point or group without triggers');
  if (groups.flat().length > MAX_TRIGGERS) throw invalid(`more than ${MAX_TRIGGERS} triggers`);
  const tests = groups.map((group) => group.map(compileTrigger));
  return form === 'cnf'
    ? (subject) => tests.every((group) => group.some((test) => test(subject)))
    : (subject) => tests.some((group) => group.every((test) => test(subject)));
}

function compileTrigger(trigger: ServicePointTrigger): Test {
  const tests = [...conditionsOf(trigger)];
  const [test] = tests;
  if (!test || tests.length > 1) throw invalid('a trigger has exactly one condition');
  if (trigger.registrationTypes && trigger.method?.toUpperCase() !== 'REGISTER')
    throw invalid('registration types without method REGISTER');
  return trigger.negated === true ? (subject) => !test(subject) : test;
}

function* conditionsOf(trigger: ServicePointTrigger): Generator<Test> {
  const { method, registrationTypes, requestUri, header, sessionCase, sdp } = trigger;
  if (method !== undefined) yield methodTest(method, registrationTypes);
  if (requestUri !== undefined) {
    const matches = pattern(requestUri);
    yield ({ request }) => matches(request.uri);
  }
  if (header) yield headerTest(header.name, header.content);
  if (sessionCase === 'originating-unregistered')
    yield (subject) => subject.sessionCase === 'originating' && !subject.registered;
  else if (sessionCase !== undefined) yield (subject) => subject.sessionCase === sessionCase;
  if (sdp) yield sdpTest(sdp.line, sdp.content);
}

function methodTest(method: string, types: readonly RegistrationType[] | undefined): Test {
  const wanted = method.toUpperCase();
  if (!types || types.length === 0) return ({ request }) => request.method === wanted;
  return ({ request, registrationType }) =>
    request.method === wanted && registrationType !== undefined && types.includes(registrationType);
}

function headerTest(name: string, content: string | undefined): Test {
  if (!/^[!%'*+\-.0-9A-Z_`a-z~]{1,64}$/.test(name)) throw invalid('name of a header field');
  if (content === undefined) return ({ request }) => request.has(name);
  const matches = pattern(content);
  return ({ request }) => request.headers.lines(name).some(matches);
}

function sdpTest(line: string, content: string | undefined): Test {
  const type = /^([a-z])=?$/.exec(line)?.[1];
  if (type === undefined) throw invalid('a line type of a session description is one letter');
  const matches = content === undefined ? () => true : pattern(content);
  return ({ request }) =>
    descriptionLines(request).some((text) => text.startsWith(`${type}=`) && matches(text.slice(2)));
}

/** Lines of the session description, which may be one part of several. */
function descriptionLines(request: SipRequest): string[] {
  const type = request.get('Content-Type') ?? '';
  if (isSdp(type)) return linesOf(request.body);
  if (!/^\s*multipart\//i.test(type)) return [];
  try {
    return leafParts(parseMultipart(request.body, type))
      .filter((part) => isSdp(part.headers.get('Content-Type') ?? ''))
      .flatMap((part) => linesOf(part.body));
  } catch (error) {
    if (error instanceof ParleyError) return [];
    throw error;
  }
}

function isSdp(type: string): boolean {
  return /^\s*application\/sdp\s*(?:;|$)/i.test(type);
}

function linesOf(body: Uint8Array): string[] {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8').split(/\r?\n/);
}

/** Patterns of a service point trigger are extended regular expressions of POSIX (3GPP TS 29.228 annex B.2). */
function pattern(source: string): (value: string) => boolean {
  if (source.length > MAX_PATTERN) throw invalid(`a pattern of more than ${MAX_PATTERN} characters`);
  try {
    const found = extendedExpression(source);
    return (value) => found(value.length > MAX_VALUE ? value.slice(0, MAX_VALUE) : value);
  } catch (error) {
    throw new ParleyError('profile-invalid', 'a pattern that cannot be read', { cause: error });
  }
}

function invalid(detail: string): ParleyError {
  return new ParleyError('profile-invalid', detail);
}
