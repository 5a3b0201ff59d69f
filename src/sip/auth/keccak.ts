/** Rounds and lanes of Keccak-f[1600] (FIPS 202 §3.3, §3.4). */
const ROUNDS = 24;
const LANES = 25;

/** Rotation of each lane in ρ, by x + 5y (FIPS 202 table 2). */
const ROTATIONS = [
  0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14,
];

/** Where π moves each lane to. */
const MOVES = ROTATIONS.map((_, i) => {
  const [x, y] = [i % 5, Math.floor(i / 5)];
  return y + 5 * ((2 * x + 3 * y) % 5);
});

/** The constants of ι as halves of 32 bits, low first, from the shift register of FIPS 202 algorithm 5. */
const CONSTANTS = roundConstants();

/**
 * The permutation Keccak-f[1600], which `node:crypto` has only inside SHA-3.
 * @param state 200 octets, lanes little-endian. @returns the permuted state.
 */
export function keccakF1600(state: Uint8Array): Buffer {
  const octets = Buffer.from(state);
  // lane i is the halves 2i (low) and 2i + 1 (high)
  const a = new Int32Array(2 * LANES);
  const b = new Int32Array(2 * LANES);
  const columns = new Int32Array(10);
  for (let i = 0; i < a.length; i++) a[i] = octets.readInt32LE(4 * i);
  for (let round = 0; round < ROUNDS; round++) {
    theta(a, columns);
    rhoAndPi(a, b);
    chi(b, a);
    a[0]! ^= CONSTANTS[2 * round]!;
    a[1]! ^= CONSTANTS[2 * round + 1]!;
  }
  for (let i = 0; i < a.length; i++) octets.writeInt32LE(a[i]!, 4 * i);
  return octets;
}

function theta(a: Int32Array, columns: Int32Array): void {
  for (let i = 0; i < 10; i++) columns[i] = a[i]! ^ a[i + 10]! ^ a[i + 20]! ^ a[i + 30]! ^ a[i + 40]!;
  for (let x = 0; x < 5; x++) {
    const before = 2 * ((x + 4) % 5);
    const after = 2 * ((x + 1) % 5);
    const [low, high] = [columns[after]!, columns[after + 1]!];
    const lowMask = columns[before]! ^ ((low << 1) | (high >>> 31));
    const highMask = columns[before + 1]! ^ ((high << 1) | (low >>> 31));
    for (let i = 2 * x; i < 2 * LANES; i += 10) {
      a[i]! ^= lowMask;
      a[i + 1]! ^= highMask;
    }
  }
}

function rhoAndPi(a: Int32Array, b: Int32Array): void {
  for (let i = 0; i < LANES; i++) {
    const bits = ROTATIONS[i]!;
    const swapped = bits >= 32 ? 1 : 0;
    const [low, high] = [a[2 * i + swapped]!, a[2 * i + 1 - swapped]!];
    const n = bits % 32;
    const to = 2 * MOVES[i]!;
    // a shift by 32 is none in JavaScript
    b[to] = n === 0 ? low : (low << n) | (high >>> (32 - n));
    b[to + 1] = n === 0 ? high : (high << n) | (low >>> (32 - n));
  }
}

function chi(b: Int32Array, a: Int32Array): void {
  for (let row = 0; row < 2 * LANES; row += 10)
    for (let i = 0; i < 10; i++)
      a[row + i] = b[row + i]! ^ (~b[row + ((i + 2) % 10)]! & b[row + ((i + 4) % 10)]!);
}

function roundConstants(): Int32Array {
  const constants = new Int32Array(2 * ROUNDS);
  let register = 1;
  for (let round = 0; round < ROUNDS; round++)
    for (let j = 0; j < 7; j++) {
      const bit = 2 ** j - 1;
      if (register & 1) constants[2 * round + (bit >= 32 ? 1 : 0)]! |= 1 << (bit % 32);
      register <<= 1;
      if (register & 0x100) register ^= 0x171;
    }
  return constants;
}
