import { setMaxListeners } from 'node:events'

/**
 * An AbortController whose signal any number of operations listen to at once, each until it ends. Node warns of a leak when
 * a signal has more than ten listeners; here they are as many as connections or requests in progress.
 */
export function sharedAbort(): AbortController {
  const abort = new AbortController()
  setMaxListeners(0, abort.signal)
  return abort
}
