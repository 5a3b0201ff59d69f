import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import type { Next, Service, ServiceCall, ServiceSubject } from '../../src/core/service.js';
import type { ProxyResult, ServerRequest } from '../../src/sip/stack.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

type Behaviour = (call: ServiceCall, next: Next) => Promise<void>;
const handOn: Behaviour = async (_call, next) => {
  await next();
};

/** A service whose behaviour each test sets; it wants nothing until then. */
class TestService implements Service {
  readonly name: string;
  #wants: (subject: ServiceSubject) => boolean = () => false;
  #does: Behaviour = handOn;

  constructor(name: string) {
    this.name = name;
  }

  on(wants: (subject: ServiceSubject) => boolean, does: Behaviour): void {
    [this.#wants, this.#does] = [wants, does];
  }

  matches(subject: ServiceSubject): boolean {
    return this.#wants(subject);
  }

  serves(request: ServerRequest): boolean {
    return request.uri === `sip:${this.name}@ims.test`;
  }

  handle(call: ServiceCall, next: Next): Promise<void> {
    return this.#does(call, next);
  }
}

const first = new TestService('first');
const second = new TestService('second');
let parley: RunningParley;
let alice: Phone;
let bob: Phone;

beforeAll(async () => {
  parley = await startParley({ auth: 'none' });
  parley.app.core.use(first);
  parley.app.core.use(second);
});
afterAll(() => parley.stop());
beforeEach(async () => {
  alice = await Phone.registered('alice', parley.port);
  bob = await Phone.registered('bob', parley.port);
});
afterEach(async () => {
  for (const phone of [alice, bob]) {
    phone.close();
    await parley.app.registrar!.deregister(phone.aor, 'deactivated');
  }
  for (const service of [first, second]) service.on(() => false, handOn);
});

const terminating = ({ sessionCase }: ServiceSubject): boolean => sessionCase !== 'originating';
const originating = ({ sessionCase }: ServiceSubject): boolean => sessionCase === 'originating';

describe('the chain of services', () => {
  it('has the originating services first, then the terminating ones, each in the order of registration', async () => {
    const seen: string[] = [];
    for (const service of [first, second])
      service.on(
        ({ request }) => request.method === 'MESSAGE',
        async ({ sessionCase, servedUser, device }, next) => {
          seen.push(`${service.name} ${sessionCase} ${servedUser} ${device ? 'device' : '-'}`);
          await next();
        },
      );
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect(seen).toEqual([
      'first originating sip:alice@ims.test device',
      'second originating sip:alice@ims.test device',
      'first terminating-registered sip:bob@ims.test -',
      'second terminating-registered sip:bob@ims.test -',
    ]);
  });

  it('lets each service change the request for those after it and the responses for those before it', async () => {
    for (const service of [first, second])
      service.on(originating, async (_call, next) => {
        await next({
          edit: (headers) => headers.append('X-Seen', service.name),
          onResponse: (response) => response.headers.append('X-Back', service.name),
        });
      });
    alice.send('MESSAGE', bob.aor);
    const request = await bob.answer('MESSAGE', 200);
    expect(request.headers.lines('X-Seen')).toEqual(['first', 'second']);
    expect((await alice.peer.response(200)).headers.lines('X-Back')).toEqual(['second', 'first']);
  });

  it('ends where a service answers, and the service before sees that answer', async () => {
    const results: ProxyResult[] = [];
    first.on(originating, async (_call, next) => {
      results.push(await next());
    });
    second.on(originating, ({ response }) => {
      response.send(486);
      return Promise.resolve();
    });
    expect((await alice.ask('MESSAGE', bob.aor)).status).toBe(486);
    expect(results).toMatchObject([{ status: 486, target: undefined }]);
  });

  it('answers with the status of what a service throws', async () => {
    first.on(originating, () => Promise.reject(new ParleyError('core-no-device-matches')));
    expect((await alice.ask('MESSAGE', bob.aor)).status).toBe(480);
  });

  it('asks terminating-unregistered services for a user without devices, and one may answer in place of the 480', async () => {
    let sessionCase = '';
    first.on(terminating, async (call, next) => {
      sessionCase = call.sessionCase;
      const result = await next({ takesOver: ({ status }) => status === 480 });
      expect(result).toMatchObject({ status: 480 });
      call.response.send(202);
    });
    expect((await alice.ask('MESSAGE', 'sip:carol@ims.test')).status).toBe(202);
    expect(sessionCase).toBe('terminating-unregistered');
  });

  it('lets a service answer in place of the final response that a device gave', async () => {
    first.on(terminating, async ({ response }, next) => {
      const { status } = await next({ takesOver: (result) => Promise.resolve(result.status === 480) });
      if (status === 480) response.send(202);
    });
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 480);
    expect((await alice.peer.response(200)).status).toBe(202);
  });

  it('asks the service nearest to the callee first who answers', async () => {
    const asked: string[] = [];
    for (const service of [first, second])
      service.on(terminating, async (_call, next) => {
        await next({
          takesOver: () => {
            asked.push(service.name);
            return false;
          },
        });
      });
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 603);
    expect((await alice.peer.response(200)).status).toBe(603);
    expect(asked).toEqual(['second', 'first']);
  });

  it('is not run again for requests inside a dialog', async () => {
    let calls = 0;
    first.on(
      () => true,
      async (_call, next) => {
        calls++;
        await next();
      },
    );
    alice.send('INVITE', bob.aor);
    const invite = await bob.answer('INVITE', 200);
    const ok = await alice.peer.response(200);
    const route = ok.headers.list('Record-Route').reverse();
    const dialog = { Route: route, To: `<${bob.aor}>;tag=${ok.toTag}`, 'Call-ID': ok.callId };
    alice.send('ACK', bob.contact, {
      ...dialog,
      From: ok.get('From')!,
      CSeq: `${ok.cseq.number} ACK`,
    });
    await bob.peer.request('ACK');
    alice.send('BYE', bob.contact, { ...dialog, From: ok.get('From')! });
    await bob.answer('BYE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect(invite.has('Record-Route')).toBe(true);
    expect(calls).toBe(2);
  });

  it('goes on after the service for a second leg that the service makes over the onward route', async () => {
    const seen: string[] = [];
    first.on(originating, async ({ request, response, onward }) => {
      seen.push('first');
      const answer = await parley.app.stack.request(request.uri, {
        method: 'MESSAGE',
        headers: { From: `<${alice.aor}>`, 'P-Asserted-Identity': `<${alice.aor}>`, 'X-Leg': 'second' },
        route: onward,
        body: request.body,
      });
      response.send(answer.status);
    });
    second.on(originating, async ({ servedUser }, next) => {
      seen.push(`second ${servedUser}`);
      await next();
    });
    alice.send('MESSAGE', bob.aor, {}, 'hello');
    const request = await bob.answer('MESSAGE', 200);
    expect(request.get('X-Leg')).toBe('second');
    expect(request.get('P-Asserted-Identity')).toBe(`<${alice.aor}>`);
    expect(request.has('Route')).toBe(false);
    expect(Buffer.from(request.body).toString()).toBe('hello');
    expect((await alice.peer.response(200)).status).toBe(200);
    expect(seen).toEqual(['first', 'second sip:alice@ims.test']);
  });

  it('joins both legs of a B2BUA in the callee chain until the caller hangs up', async () => {
    first.on(terminating, async ({ request, response, onward }) => {
      await parley.app.stack.createB2BUA(request, response, { uri: request.uri, route: onward });
    });
    alice.send('INVITE', bob.aor);
    await bob.answer('INVITE', 200);
    const ok = await alice.peer.response(200);
    const dialog = { To: `<${bob.aor}>;tag=${ok.toTag}`, 'Call-ID': ok.callId, From: ok.get('From')! };
    const target = ok.contacts[0]!.uriText;
    const Route = ok.headers.list('Record-Route').reverse();
    alice.send('ACK', target, {
      ...dialog,
      ...(Route.length > 0 ? { Route } : {}),
      CSeq: `${ok.cseq.number} ACK`,
    });
    await bob.peer.request('ACK');
    alice.send('BYE', target, { ...dialog, ...(Route.length > 0 ? { Route } : {}) });
    expect((await alice.peer.response(200)).status).toBe(200);
    await bob.answer('BYE', 200);
  });

  it('believes no onward route that was not made here', async () => {
    let position = '';
    first.on(originating, async ({ onward }, next) => {
      position = onward[0]!;
      await next();
    });
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    const forged = position.replace(/\.[^.@]*@/, '.AAAAAAAAAAAAAAAA@');
    first.on(() => false, handOn);
    const stranger = await Phone.open('mallory', parley.port);
    stranger.send('MESSAGE', bob.aor, { Route: forged, From: '<sip:alice@elsewhere.test>;tag=1' });
    expect((await stranger.peer.response(200)).status).toBe(403);
    stranger.close();
  });

  it('gives a request for a public service identity to its service', async () => {
    first.on(
      () => false,
      ({ response, servedUser }) => {
        response.send(200, { headers: { 'X-Served': servedUser } });
        return Promise.resolve();
      },
    );
    expect((await alice.ask('MESSAGE', 'sip:first@ims.test')).get('X-Served')).toBe('sip:first@ims.test');
  });

  it('gives a service that started a request itself the way past the services before it', async () => {
    const seen: string[] = [];
    first.on(terminating, async (_call, next) => {
      seen.push('first');
      await next();
    });
    second.on(terminating, async (_call, next) => {
      seen.push('second');
      await next();
    });
    const { core, stack } = parley.app;
    const answer = stack.request(bob.aor, {
      method: 'MESSAGE',
      route: core.onward(first, 'terminating-registered', { servedUser: bob.aor, set: bob.aor }),
    });
    await bob.answer('MESSAGE', 200);
    expect((await answer).status).toBe(200);
    expect(seen).toEqual(['second']);
  });
});
