import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Loaded into a measured server: at SIGUSR2 it collects its garbage and says what is left, and before that how long its event loop
 * stood still at most since it was asked last. It watches from the first time on, since 200 looks a second cost CPU.
 */
let asked = 0;
const standstill = monitorEventLoopDelay({ resolution: 5 });
process.on('SIGUSR2', () => {
  const still = (standstill.max / 1e6).toFixed(1);
  // twice, since what finalizers let go is garbage only then
  globalThis.gc?.();
  globalThis.gc?.();
  standstill.reset();
  standstill.enable();
  const { heapUsed, external } = process.memoryUsage();
  process.stderr.write(`stood still: ${still} ms, heap ${++asked}: ${heapUsed + external} B\n`);
});
