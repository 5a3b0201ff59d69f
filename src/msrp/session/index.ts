export { MsrpEndpoint, type EndpointOptions, type Passage, type SessionPlace } from './endpoint.js';
export { defaultMsrpLimits, type MsrpLimits } from './limits.js';
export { MsrpNegotiation, type MediaProfile } from './negotiation.js';
export type { Outgoing, SentMessage } from './outgoing-message.js';
export {
  wholeMessages,
  type Abandonment,
  type IncomingMessage,
  type MessageReceiver,
  type MessageSink,
  type WholeMessage,
} from './receiver.js';
export type { MsrpSession, SessionEvents, SessionFigures, SessionOptions } from './session.js';
export {
  splice,
  type MessageObserver,
  type PassingMessage,
  type Splice,
  type SpliceOptions,
} from './splice.js';
export type { FlowFigures } from './relay-flow.js';
export { streamedMessages } from './streamed.js';
