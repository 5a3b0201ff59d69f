import { codeOf, CspClient, type CspClientOptions } from '../../../src/imps/client/csp-client.js';
import { child, textOf, type Element } from '../../../src/imps/codec/element.js';

export { capabilityRequest, codeOf, message, serviceRequest } from '../../../src/imps/client/csp-client.js';
export type PhoneOptions = CspClientOptions;

/** The client of `parley imps client` as tests use it. */
export class Phone extends CspClient {
  constructor(options: PhoneOptions) {
    super({ clientId: 'wv:test1$lab@maker.m1.1', ...options });
  }

  /** Result code of a request. */
  async code(primitive: Element, id?: string): Promise<number> {
    return codeOf(await this.request(primitive, id));
  }

  /** Login, capabilities, services. */
  async start(...capabilities: readonly Element[]): Promise<this> {
    const response = await this.login2();
    if (this.sessionId === undefined) throw new Error(`login ${codeOf(response)}`);
    await this.negotiate(...capabilities);
    return this;
  }

  /** Texts of the messages that wait. */
  async messages(): Promise<string[]> {
    const seen = await this.drain();
    return seen
      .filter(({ name }) => name === 'NewMessage')
      .map((message) => textOf(message, 'ContentData') ?? '');
  }
}

/** Codes of the DetailedResults of a primitive with the text of what each is of. */
export const detailsOf = (primitive: Element): string[] =>
  (child(primitive, 'Result')?.children ?? [])
    .filter(({ name }) => name === 'DetailedResult')
    .map((detail) => {
      const of = detail.children.filter(({ name }) => name !== 'Code' && name !== 'Description');
      return `${textOf(detail, 'Code')} ${of.map(({ text }) => text).join(' ')}`;
    });
