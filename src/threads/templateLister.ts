import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import type { ThreadLogLine } from '../protocol/tasks.js'
import type { ListingMessage, TemplateListing, TemplateSetup } from '../protocol/templateManifest.js'
import { threadFile, threadFlags } from '../protocol/threadFile.js'

/** Lists the templates of a folder in a thread that ends afterwards, and again only after a file of the folder has changed. */
export class TemplateLister {
  #setup: TemplateSetup
  readonly #log: (line: ThreadLogLine) => void
  #last: { signature: string; listing: TemplateListing } | undefined

  /** @param log receives the log lines of the application's modules */
  constructor(setup: TemplateSetup, log: (line: ThreadLogLine) => void) {
    this.#setup = setup
    this.#log = log
  }

  /** @throws Error if the folder can't be read, or a module of the application fails */
  async list(): Promise<TemplateListing> {
    const signature = await signatureOf(this.#setup.dir)
    if (this.#last?.signature === signature) return this.#last.listing
    const listing = await listInThread(this.#setup, this.#log)
    this.#last = { signature, listing }
    return listing
  }

  /** Lists with other modules or globals. After an error, the previous ones stay. */
  async replace(setup: TemplateSetup): Promise<void> {
    const listing = await listInThread(setup, this.#log)
    this.#setup = setup
    this.#last = { signature: await signatureOf(setup.dir), listing }
  }
}

/** The names, sizes and times of all files. A folder that can't be read has none; the thread then reports why. */
async function signatureOf(dir: string): Promise<string> {
  const names = await readdir(dir, { recursive: true }).catch(() => [])
  const stats = await Promise.all(
    names.sort().map(async (name) => {
      const { size, mtimeMs } = await stat(path.join(dir, name)).catch(() => ({ size: -1, mtimeMs: -1 }))
      return `${name} ${size} ${mtimeMs}`
    }),
  )
  return stats.join('\n')
}

function listInThread(setup: TemplateSetup, log: (line: ThreadLogLine) => void): Promise<TemplateListing> {
  const file = threadFile('listTemplates.js')
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { name: 'templates', workerData: setup, ...threadFlags() })
    let answered = false
    worker.on('message', (message: ListingMessage) => {
      if (message.kind === 'log') return log(message.line)
      answered = true
      if (message.kind === 'listing') resolve(message.listing)
      else reject(new Error(message.message))
    })
    worker.on('error', reject)
    worker.on('exit', (code) => {
      if (!answered) reject(new Error(`the thread that reads the templates ended with exit code ${code}`))
    })
  })
}
