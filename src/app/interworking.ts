import type { Config } from '../config/schema.js';
import { CpmAccess } from '../cpm/interworking/cpm-access.js';
import { InterworkingRegistry } from '../cpm/interworking/registry.js';
import { InterworkingSelection } from '../cpm/interworking/selection.js';
import type { ServiceParts, ServiceSide } from './parts.js';

/** The Interworking Selection Function, and the way from interworking functions into CPM. */
export interface Interworking {
  readonly registry: InterworkingRegistry;
  readonly selection: InterworkingSelection;
  readonly access: CpmAccess;
}

/** Registers the configured interworking functions and puts their selection into the way of requests. */
export function startInterworking(
  config: Config,
  { stack, trail, core, setOf }: Pick<ServiceParts, 'stack' | 'trail' | 'core'> & Pick<ServiceSide, 'setOf'>,
): Interworking {
  const { serviceHeader, functions } = config.cpm.interworking;
  const registry = new InterworkingRegistry();
  for (const { uri, capabilities, ...entry } of functions) {
    const route = /;lr(?:[;=]|$)/i.test(uri) ? uri : `${uri};lr`;
    registry.add({ ...entry, capabilities: new Set(capabilities), target: { route } });
  }
  const selection = new InterworkingSelection({ stack, trail, registry, serviceHeader });
  core.use(selection);
  const access = new CpmAccess({
    stack,
    serviceHeader,
    setOf,
    entrance: (sessionCase, user) => core.entrance(sessionCase, user),
  });
  return { registry, selection, access };
}
