/** One thing that is wrong with the configuration, at a place that a person can find. */
export interface ConfigProblem {
  /** `parley.yaml:12`, or the environment variable. */
  readonly where: string;
  /** `sip.listen.0` */
  readonly setting: string;
  readonly why: string;
}

/** The configuration cannot be used; the process must not start (exit 2). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(
      problems
        .map(({ where, setting, why }) => `${where}: ${setting ? `${setting}: ` : ''}${why}`)
        .join('\n'),
    );
    this.problems = problems;
  }
}
