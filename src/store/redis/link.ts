/** An argument of a Redis command. */
export type Argument = string | Buffer;

/** What happens to the connections behind a link. */
export interface LinkListener {
  /** A connection can be used, for the first time or again. */
  readonly onUp: () => void;
  /** A connection was lost or could not be made. */
  readonly onDown: (reason: string) => void;
}

/**
 * One Redis or one cluster. Commands are sent at once or fail at once; none is kept until a connection is back, and
 * none is sent twice. Texts in answers are buffers.
 */
export interface RedisLink {
  /** @param name a key that the command is about: it decides which node of a cluster gets it. */
  send(name: string, command: readonly Argument[]): Promise<unknown>;
  /** True when names of different shards may not be in one command. */
  readonly isCluster: boolean;
  /** True when a command would be sent. */
  readonly isUp: boolean;
  subscribe(channel: string, listener: (message: string) => void): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  close(): void;
}

const firstRetryMs = 50;
const lastRetryMs = 1000;

/** How long to wait before the connection is tried again, in milliseconds: doubled each time, with some chance in it. */
export function backOff(retries: number): number {
  const most = Math.min(lastRetryMs, firstRetryMs * 2 ** Math.min(retries, 10));
  return Math.round(most * (0.5 + Math.random() / 2));
}

/** A connection that is silent for so long is given up; a healthy one is asked for a sign of life before. */
export const silenceMs = 10_000;
export const signOfLifeMs = 3000;
export const connectMs = 3000;
/** Commands that may wait for their answers on one connection. */
export const mostWaiting = 20_000;
