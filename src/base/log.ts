/** The part of pino that Parley's parts use; they get one, and never make one. */
export interface Logger {
  trace(fields: object, message?: string): void;
  debug(fields: object, message?: string): void;
  info(fields: object, message?: string): void;
  warn(fields: object, message?: string): void;
  error(fields: object, message?: string): void;
  /** True when messages of that level are written: guards work that only a log line needs. */
  isLevelEnabled(level: string): boolean;
  child(fields: object): Logger;
}

/** Writes nothing. For tests and for parts that were given no logger. */
export const silentLogger: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  isLevelEnabled: () => false,
  child: () => silentLogger,
};
