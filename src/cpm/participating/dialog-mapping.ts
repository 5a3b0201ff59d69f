import type { Next, Service, ServiceCall, ServiceSubject } from '../../core/service.js';
import type { DialogLegs } from './dialog-legs.js';

/** Lets requests outside dialogs name the sessions in whose middle this server is as their recipient knows them. */
export class DialogMapping implements Service {
  readonly name = 'cpm-dialog-mapping';
  readonly #legs: DialogLegs;

  constructor(legs: DialogLegs) {
    this.#legs = legs;
  }

  matches({ request }: ServiceSubject): boolean {
    return this.#legs.concerns(request);
  }

  async handle({ request }: ServiceCall, next: Next): Promise<void> {
    await this.#legs.map(request);
    await next();
  }
}
