export { formatByteRange, parseByteRange, type ByteRange } from './byte-range.js';
export { newMessageId, newSessionId, newTransactionId } from './identifiers.js';
export { MessageHead, parseHead, utf8, wireText, type ContinuationFlag, type FailureReport } from './head.js';
export { defaultParserLimits, MessageParser, type MessageHandler, type ParserLimits } from './parser.js';
export { formatEndLine, formatRequestHead, formatResponse, statusText } from './serializer.js';
