/** A command could not do its work; the message is for the person at the terminal. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Talks to the admin API of a running server. */
export class ApiClient {
  readonly #base: string;
  readonly #token: string | undefined;

  /** @param base `http://127.0.0.1:8080` @param token bearer token, where the server wants one. */
  constructor(base: string, token: string | undefined) {
    this.#base = base.replace(/\/+$/, '');
    this.#token = token;
  }

  /** @param body goes as JSON, a string as XML. @throws CommandError with what the server says, or that there is none. */
  async call<T>(
    method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
    path: string,
    body?: object | string,
  ): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`${this.#base}/api/v1${path}`, {
        method,
        headers: {
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
          ...(body === undefined
            ? {}
            : { 'content-type': typeof body === 'string' ? 'application/xml' : 'application/json' }),
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
    } catch {
      throw new CommandError(
        `no server answers at ${this.#base}; start one with "parley serve" or name it with --api`,
      );
    }
    if (response.status === 204) return undefined as T;
    const answer = (await response.json()) as { error?: string; message?: string };
    if (!response.ok) throw new CommandError(`${answer.error ?? response.status}: ${answer.message ?? ''}`);
    return answer as T;
  }

  /** All of a list that the API gives page by page. @param name of the list in each page. @param query what is undefined is left out */
  async pages<T>(
    path: string,
    name: string,
    query: Readonly<Record<string, string | undefined>> = {},
  ): Promise<T[]> {
    const given = Object.entries(query).flatMap(([key, value]) =>
      value === undefined ? [] : [`&${key}=${encodeURIComponent(value)}`],
    );
    const found: T[] = [];
    for (let after = ''; ;) {
      const page: Record<string, unknown> & { next?: string } = await this.call(
        'GET',
        `${path}?limit=1000${given.join('')}${after}`,
      );
      found.push(...(page[name] as T[]));
      if (page.next === undefined) return found;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
  }
}
