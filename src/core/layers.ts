import { ParleyError } from '../base/errors.js';
import type { Trail } from '../base/trail.js';
import type { Headers } from '../sip/message/headers.js';
import type { SipResponse } from '../sip/message/message.js';
import { recordRefusal, refusalOf } from '../sip/refusal.js';
import type { ProxyResult, ServerRequest, ServerResponse } from '../sip/stack.js';
import type { NextOptions } from './service.js';

/** What the services that handed a request on asked of its way, the first one first. */
export type Layers = readonly NextOptions[];

export const noLayers: Layers = [];

/** Each service changes what the one before it made. */
export function editThrough(layers: Layers, headers: Headers): void {
  for (const layer of layers) layer.edit?.(headers);
}

/** Responses pass the services the other way. */
export function showThrough(layers: Layers, response: SipResponse): void {
  for (let i = layers.length - 1; i >= 0; i--) layers[i]!.onResponse?.(response);
}

/** Whether one of the services answers itself; the one nearest to the callee is asked first. */
export async function takenOver(layers: Layers, result: ProxyResult): Promise<boolean> {
  for (let i = layers.length - 1; i >= 0; i--) {
    if ((await layers[i]!.takesOver?.(result)) === true) return true;
  }
  return false;
}

/** The same as an option of `proxyRequest`, where any service cares. */
export function takingOver(layers: Layers): { takesOver?: (result: ProxyResult) => Promise<boolean> } {
  return layers.some((layer) => layer.takesOver !== undefined)
    ? { takesOver: (result) => takenOver(layers, result) }
    : {};
}

/**
 * What the services see of a failure behind them is a result: one of them may answer itself, else the failure's status
 * goes to the caller, and the trail says why.
 * @throws what is no ParleyError, and what comes after the request was answered.
 */
export async function settle(
  { request, response, trail }: { request: ServerRequest; response: ServerResponse; trail: Trail },
  layers: Layers,
  outcome: Promise<ProxyResult>,
): Promise<ProxyResult> {
  try {
    return await outcome;
  } catch (error) {
    if (!(error instanceof ParleyError) || response.finalStatus !== undefined) throw error;
    const result: ProxyResult = { status: error.sip, target: undefined, response: undefined };
    if (await takenOver(layers, result)) return result;
    recordRefusal(trail, request, error);
    response.send(error.sip, refusalOf(error));
    return result;
  }
}
