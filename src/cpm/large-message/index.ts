/**
 * Both ends of CPM's large message mode: one message over an MSRP session of its own, for whoever sends or takes messages in the
 * name of users (deferral, gateways).
 */
export { asSipStatus, type LargeMessageOutcome } from './outcome.js';
export {
  announcedOctets,
  receiveLargeMessage,
  receiveWholeLargeMessage,
  type ArrivingLargeMessage,
  type LargeMessageReceiverOptions,
} from './receiving.js';
export { sendLargeMessage, type LargeMessageSenderOptions, type LargeMessageToSend } from './sending.js';
