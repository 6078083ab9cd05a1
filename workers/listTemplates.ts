import { parentPort, workerData } from 'node:worker_threads'
import type { ListingMessage, TemplateSetup } from '../src/protocol/templateManifest.js'
import { createRenderer } from './render/createRenderer.js'
import { ThreadLog } from './threadLog.js'

/**
 * The thread that reads the templates of a mailer with `role: 'send'`. It parses them, posts their manifests, and ends. It never
 * loads MJML.
 */
const post = (message: ListingMessage): void => parentPort?.postMessage(message)
const { write } = new ThreadLog((line) => post({ kind: 'log', line }))
const renderer = createRenderer({
  templates: { ...(workerData as TemplateSetup), reload: false },
  log: write,
})
try {
  post({ kind: 'listing', listing: await renderer.catalogue() })
} catch (error) {
  post({ kind: 'error', message: (error as Error).message })
} finally {
  await renderer.close()
}
