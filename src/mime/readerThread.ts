import { pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import type { ReaderThreadSetup } from './threadReader.js'

type Read = (raw: Uint8Array) => unknown

/** The thread of {@link ThreadReader}. */
const { file, name } = workerData as ReaderThreadSetup
const functions = (await import(pathToFileURL(file).href)) as Record<string, Read>

parentPort?.on('message', (raw: Uint8Array) => {
  parentPort?.postMessage(read(raw))
})

/** A mail that can't be read must not end the thread. */
function read(raw: Uint8Array): unknown {
  try {
    return functions[name]?.(raw)
  } catch {
    return undefined
  }
}
