/** Ctrl-C: the first one ends what runs, the second one the program. */

/** Runs `work`; the first SIGINT meanwhile calls `onInterrupt`. */
export async function whileInterruptible<T>(
  onInterrupt: () => void,
  work: () => Promise<T>
): Promise<T> {
  process.once('SIGINT', onInterrupt)
  try {
    return await work()
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}
