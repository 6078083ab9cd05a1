import { once } from 'node:events'
import type { ClientRequest } from 'node:http'
import { setImmediate } from 'node:timers/promises'

/** Bytes, and chunks, of a body after which the event loop has its turn: a stream may have all of its chunks ready. */
const TURN = 65_536
const TURN_CHUNKS = 64

/** Sends a body as fast as it is read. @param signal aborts when the rest is not needed: the stream is then cancelled */
export async function sendBody(
  body: ReadableStream<Uint8Array>,
  outgoing: ClientRequest,
  signal: AbortSignal,
): Promise<void> {
  const reader = body.getReader()
  const stop = (): void => void reader.cancel().catch(() => undefined)
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  let [bytes, chunks] = [0, 0]
  for (;;) {
    const { done, value } = await reader.read()
    if (signal.aborted) return
    if (done) {
      outgoing.end()
      return
    }
    bytes += value.length
    chunks++
    if (value.length > 0 && !outgoing.write(value))
      await once(outgoing, 'drain', { signal }).catch(() => undefined)
    if (bytes < TURN && chunks < TURN_CHUNKS) continue
    await setImmediate()
    bytes = chunks = 0
  }
}
