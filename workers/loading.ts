type Listener = (change: 1 | -1) => void

let listener: Listener = () => undefined

/** Has each beginning and end of loading told; there is one listener for each thread. */
export function onLoading(tell: Listener): void {
  listener = tell
}

/**
 * Loads modules. Evaluating them blocks the event loop, and on a busy machine for long: meanwhile the watchdog allows as
 * much time as a thread has to start.
 */
export async function loading<T>(load: () => Promise<T>): Promise<T> {
  listener(1)
  try {
    return await load()
  } finally {
    listener(-1)
  }
}
