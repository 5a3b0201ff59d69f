/** Loaded into a measured server: at SIGUSR2 it collects its garbage and says what is left. */
let asked = 0;
process.on('SIGUSR2', () => {
  // twice, since what finalizers let go is garbage only then
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  process.stderr.write(`heap ${++asked}: ${heapUsed + external} B\n`);
});
