/** Waits until something holds that comes by itself; the test's own time bounds it. @param everyMs between two looks. */
export async function until(holds: () => boolean | Promise<boolean>, everyMs = 10): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, everyMs));
}
