/** What a codec refuses to read. */
export interface CodecLimits {
  /** Octets of a whole message. */
  readonly bytes: number;
  /** Elements inside one another. */
  readonly depth: number;
  /** Elements in one message. */
  readonly elements: number;
  /** Characters of all texts together; a string table lets few octets stand for many characters. */
  readonly characters: number;
}

export const defaultLimits: CodecLimits = {
  bytes: 1_048_576,
  depth: 32,
  elements: 50_000,
  characters: 4_194_304,
};
