import { inPackage } from '../../base/package.js';

/** Which lines a scenario needs: one a device, one a user with three devices, or callers and callees. */
export type Injection = 'devices' | 'users' | 'calls';

export interface Scenario {
  readonly injection: Injection;
  /** The scenario of the other side, for those that need devices which answer. */
  readonly answeredBy?: string;
  /** What SIPp's response time counters 1, 2, ... measure. */
  readonly responseTimes: readonly string[];
}

const register = ['REGISTER to 200'];
const invite = ['INVITE to 200', 'BYE to 200'];

/** The files of `sipp-scenarios/` that can be run, by their name without `.xml`. */
export const scenarios = {
  register: { injection: 'devices', responseTimes: register },
  'register-digest': { injection: 'devices', responseTimes: register },
  'register-aka': { injection: 'devices', responseTimes: register },
  'register-refresh': { injection: 'devices', responseTimes: register },
  'register-devices': { injection: 'users', responseTimes: register },
  'register-wildcard': { injection: 'devices', responseTimes: [...register, 'Contact: * to 200'] },
  'subscribe-reg': {
    injection: 'devices',
    responseTimes: [...register, 'SUBSCRIBE to 200'],
  },
  'invite-aor': { injection: 'calls', answeredBy: 'invite-uas', responseTimes: invite },
  'invite-public-gruu': { injection: 'calls', answeredBy: 'invite-uas', responseTimes: invite },
  'invite-temporary-gruu': { injection: 'calls', answeredBy: 'invite-uas', responseTimes: invite },
  message: { injection: 'calls', answeredBy: 'message-uas', responseTimes: ['MESSAGE to 200'] },
  'message-deferred': { injection: 'devices', responseTimes: ['MESSAGE to 202'] },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;

export const isScenario = (name: string): name is ScenarioName => Object.hasOwn(scenarios, name);

/** The folder of the scenarios. */
export const scenarioFolder = (): string => inPackage('sipp-scenarios');
