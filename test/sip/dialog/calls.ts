import type {
  Dialog,
  ServerRequest,
  ServerResponse,
  UacOptions,
  UasOptions,
} from '../../../src/sip/stack.js';
import type { EmbeddedOptions } from '../../../src/sip/embedded/stack.js';
import type { FakeClientTransaction, FakeServerTransaction } from '../../tools/fake-transactions.js';
import { settle, startStack, type Fixture } from '../embedded/fixture.js';

export { settle } from '../embedded/fixture.js';

/** A request from alice inside a dialog whose other side has that tag. */
export function inDialog(method: string, sequence: number, toTag: string, extra = ''): string {
  return `${method} sip:bob@127.0.0.1:5060 SIP/2.0
    Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK${method}${sequence}
    Max-Forwards: 70
    From: <sip:alice@ims.test>;tag=alice
    To: <sip:bob@ims.test>;tag=${toTag}
    Call-ID: call-1
    CSeq: ${sequence} ${method}
    ${/^(INVITE|UPDATE|SUBSCRIBE)$/.test(method) ? 'Contact: <sip:alice@127.0.0.1:5070>' : ''}
    ${extra}`;
}

/** alice's INVITE outside dialogs. */
export function invite(extra = ''): string {
  return inDialog('INVITE', 7, 'x', extra).replace(';tag=x', '');
}

export interface UasCall extends Fixture {
  readonly incoming: FakeServerTransaction;
  readonly dialog: Dialog;
  /** Why the dialog ended. */
  readonly ends: unknown[];
  /** alice sends a request inside the dialog. */
  readonly peer: (method: string, sequence: number, extra?: string) => FakeServerTransaction;
  readonly ack: (sequence?: number) => void;
}

/** alice has called; a handler has answered by createUAS, the ACK has not come. */
export async function answeredCall(
  extra = '',
  uas: UasOptions = {},
  options: Partial<EmbeddedOptions> = {},
  body = '',
): Promise<UasCall> {
  const fixture = await startStack(options);
  let made: Promise<Dialog> | undefined;
  fixture.stack.on('INVITE', async (request: ServerRequest, response: ServerResponse) => {
    made = fixture.stack.createUAS(request, response, uas);
    await made;
  });
  const incoming = fixture.transactions.receive(invite(extra), {}, body);
  const dialog = await made!;
  const ends: unknown[] = [];
  dialog.onEnd((cause) => ends.push(cause));
  return {
    ...fixture,
    incoming,
    dialog,
    ends,
    peer: (method, sequence, more = '') =>
      fixture.transactions.receive(inDialog(method, sequence, dialog.localTag, more)),
    ack: (sequence = 7) => fixture.transactions.receiveAck(inDialog('ACK', sequence, dialog.localTag)),
  };
}

export interface UacCall extends Fixture {
  readonly sent: FakeClientTransaction;
  readonly made: Promise<Dialog>;
}

export const bob = 'sip:bob@127.0.0.1:6001';

/** Our INVITE is on its way to bob. */
export async function callingBob(
  options: Partial<UacOptions> = {},
  stackOptions: Partial<EmbeddedOptions> = {},
): Promise<UacCall> {
  const fixture = await startStack(stackOptions);
  const made = fixture.stack.createUAC(bob, { method: 'INVITE', ...options });
  made.catch(() => {});
  await settle();
  return { ...fixture, sent: fixture.transactions.lastSent('INVITE'), made };
}

export const bobsContact = { Contact: `<${bob}>` };

/** bob has answered, the ACK has gone. */
export async function connectedToBob(
  options: Partial<UacOptions> = {},
  answer: Record<string, string> = {},
  stackOptions: Partial<EmbeddedOptions> = {},
): Promise<UacCall & { readonly dialog: Dialog; readonly ends: unknown[] }> {
  const call = await callingBob(options, stackOptions);
  call.sent.respond(200, { ...bobsContact, ...answer }, 'bob');
  const dialog = await call.made;
  const ends: unknown[] = [];
  dialog.onEnd((cause) => ends.push(cause));
  return { ...call, dialog, ends };
}
