import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { createMailer, type Mailer } from '../../index.js'
import { parseJson } from '../../protocol/parseJson.js'
import { testHooksOf } from '../../testHooks.js'
import type { TemplateName } from './demoRun.js'

/** Sends in the main thread, for comparison. */
export interface InlineSender {
  send(mail: { to: string; subject: string; data: object }): Promise<void>
  close(): Promise<void>
}

/** Requests to a route of this process, sent by another process at a constant rate. */
export interface HttpLoad {
  begin(): Promise<void>
  /** Stops the requests, and resolves with their latencies in milliseconds. */
  end(): Promise<{ p99: number } | undefined>
  close(): Promise<void>
}

/** Dependencies of the load test on the start page, in addition to the mailer. */
export interface DemoEnvironment {
  /** Whether the packages are installed that the template `welcome` needs: React is optional. */
  hasReact: boolean
  /** Loads MJML into this process. */
  loadMjml(): Promise<void>
  /** Returns a mailer with worker threads for the template `welcome`. */
  reactMailer(transport: string, from: string): Promise<Mailer>
  inlineSender(options: {
    template: TemplateName
    compileOnce: boolean
    transport: string
    from: string
  }): Promise<InlineSender>
  /** Returns the sample data of a template. */
  sampleOf(template: TemplateName): Promise<object>
  startHttpLoad(): Promise<HttpLoad>
  /** Ends a worker thread and returns its number; undefined if there is none. */
  endThread(): number | undefined
}

/** HTTP requests per second during a run. */
const REQUESTS = 100
/** The packages of an application that renders the template `welcome`. */
const REACT_PACKAGES = ['react', 'react-dom', '@react-email/render', '@react-email/components', 'esbuild']

/**
 * Returns the environment of the start page's load test, which exists only with worker threads, with the embedded inbox, and without
 * a login.
 */
export function demoEnvironmentFor(mailer: Mailer): DemoEnvironment | undefined {
  const endThread = testHooksOf(mailer)?.endThread
  if (endThread === undefined) return undefined
  const folders = {
    receipt: fileURLToPath(new URL('../../../../templates', import.meta.url)),
    welcome: fileURLToPath(new URL('./react', import.meta.url)),
  }
  return {
    hasReact: resolvesAll(REACT_PACKAGES, `${folders.welcome}/welcome.jsx`),
    endThread,
    loadMjml: async () => {
      await import('../../bench/baselines/inlineSending.js')
    },
    reactMailer: (transport, from) => createMailer({ transport, from, templates: folders.welcome }),
    inlineSender: async (options) => {
      const { createInlineSender } = await import('../../bench/baselines/inlineSending.js')
      return createInlineSender({ ...options, templates: folders[options.template] })
    },
    sampleOf: async (template) =>
      parseJson(await readFile(`${folders[template]}/${template}.json`, 'utf8')) as object,
    startHttpLoad: async () => {
      const { startHttpLoad } = await import('../../bench/http/httpLoad.js')
      return startHttpLoad(REQUESTS)
    },
  }
}

/** Whether a file could load all of these packages. None is loaded. */
function resolvesAll(packages: readonly string[], file: string): boolean {
  const { resolve } = createRequire(file)
  try {
    for (const name of packages) resolve(name)
    return true
  } catch {
    return false
  }
}
