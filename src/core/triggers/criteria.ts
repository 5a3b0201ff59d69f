/** RegistrationType of a trigger on REGISTER (3GPP TS 29.228 §B.2.2). */
export type RegistrationType = 'initial' | 're-registration' | 'de-registration';

/** Session cases of a trigger. A retargeted request (`originating-cdiv`) is none of Parley's: such a condition never holds. */
export type TriggerSessionCase =
  | 'originating'
  | 'terminating-registered'
  | 'terminating-unregistered'
  | 'originating-unregistered'
  | 'originating-cdiv';

/** A service point trigger: exactly one of its conditions is given (3GPP TS 29.228 §B.2.2). Patterns are regular expressions. */
export interface ServicePointTrigger {
  /** Turns the condition round. */
  readonly negated?: boolean | undefined;
  readonly method?: string | undefined;
  /** Only with `method: REGISTER`; all kinds when absent. */
  readonly registrationTypes?: readonly RegistrationType[] | undefined;
  readonly requestUri?: string | undefined;
  /** A header field of that name is there and, with `content`, one of its values matches. */
  readonly header?: { readonly name: string; readonly content?: string | undefined } | undefined;
  readonly sessionCase?: TriggerSessionCase | undefined;
  /** A line of that type (`m`) is in the session description and, with `content`, one matches. */
  readonly sdp?: { readonly line: string; readonly content?: string | undefined } | undefined;
}

/**
 * When a criterion holds. `cnf`: in every group at least one trigger holds; `dnf`: in at least one group all hold
 * (ConditionTypeCNF of TS 29.228).
 */
export interface TriggerPoint {
  readonly form: 'cnf' | 'dnf';
  readonly groups: readonly (readonly ServicePointTrigger[])[];
}

/** An initial filter criterion (3GPP TS 23.218 §5.2). */
export interface FilterCriterion {
  /** Lower is earlier; each once in a profile. */
  readonly priority: number;
  /** URI of an application server on ISC, or name of a service in this process. */
  readonly server: string;
  /** When the server fails: the request goes on without it (SESSION_CONTINUED) or ends (SESSION_TERMINATED). */
  readonly defaultHandling: 'continued' | 'terminated';
  /** Every request when absent. */
  readonly trigger?: TriggerPoint | undefined;
  /** Only while the served user is registered, or only while it is not. */
  readonly profilePart?: 'registered' | 'unregistered' | undefined;
  /** Goes to the server with third-party REGISTER. */
  readonly serviceInfo?: string | undefined;
  /** Third-party REGISTER carries the device's REGISTER. */
  readonly includeRegisterRequest?: boolean | undefined;
  /** Third-party REGISTER carries the 200 that the device got. */
  readonly includeRegisterResponse?: boolean | undefined;
}

/** A named list of criteria that users share. */
export interface ServiceProfile {
  readonly name: string;
  readonly criteria: readonly FilterCriterion[];
}

/** The profile of users to whom none was given. */
export const DEFAULT_PROFILE = 'default';

/** Whether a criterion names an application server on ISC, and not a service of this process. */
export const isServer = (server: string): boolean => /^sips?:/i.test(server);
