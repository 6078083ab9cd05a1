import { pathToFileURL } from 'node:url'
import { parseJson } from '../../src/protocol/parseJson.js'
import type { JsonObject, LoadedValue, MessagePayload } from '../../src/protocol/tasks.js'
import type { DeliveryContext } from '../deliveryContext.js'
import { loadModule, namedExports } from '../render/applicationModules.js'
import type { LoadModule } from '../render/renderer.js'
import { LoadFailure, type Skip } from './loadFailure.js'
import { readLoaded } from './loadedValue.js'

/** The second argument of a `load` function. */
export interface LoadContext {
  /** The context of the request that sent the mail. */
  context: JsonObject | undefined
  /** The application's globals, and the connections that its setup module opened. */
  app: Record<string, unknown>
  /** Aborted after `limits.load`. */
  signal: AbortSignal
  /** Id of the message: the same for each attempt. */
  id: string
  /** The recipients in `to`. */
  to: readonly { name?: string; address: string }[]
  locale: string | undefined
}

/** `load` in milliseconds, `message` in bytes. */
export interface LoadLimits {
  load: number
  message: number
}

type Load = (data: JsonObject, context: LoadContext) => unknown

/**
 * Runs the `load` function of a template. Its synchronous start is a critical section, as rendering is. From then on
 * the delivery is in phase `loading`, in which several deliveries of a thread may be: see `CrashAttribution`.
 * @throws LoadFailure
 */
export function runLoad(
  module: LoadModule,
  payload: MessagePayload,
  delivery: DeliveryContext,
  limits: LoadLimits,
): Promise<LoadedValue | Skip> {
  return module.withApp((app) => runWith(app, module, payload, delivery, limits))
}

async function runWith(
  app: Record<string, unknown>,
  module: LoadModule,
  { id, content, context, to }: MessagePayload,
  delivery: DeliveryContext,
  limits: LoadLimits,
): Promise<LoadedValue | Skip> {
  if (content.kind !== 'template') return {}
  const load = await loadOf(module)
  const abort = new AbortController()
  const { promise: expired, reject } = withResolvers<never>()
  const timer = setTimeout(() => {
    const failure = new LoadFailure(
      `${module.name} did not finish within ${limits.load} ms (limits.load)`,
      false,
    )
    abort.abort(failure)
    reject(failure)
  }, limits.load)
  const data = parseJson(content.data) as JsonObject
  try {
    const given: LoadContext = { context, app, signal: abort.signal, id, to, locale: content.locale }
    const work = async (): Promise<LoadedValue | Skip> => {
      const running = delivery.critical('load', () => load(structuredClone(data), given))
      delivery.enterPhase('loading')
      return readLoaded(await running, data, limits.message)
    }
    const working = work()
    // After the time limit, nobody waits for it any more.
    working.catch(() => undefined)
    return await Promise.race([working, expired])
  } catch (error) {
    throw toFailure(module, error)
  } finally {
    clearTimeout(timer)
    delivery.enterPhase('waiting')
  }
}

async function loadOf({ name, path }: LoadModule): Promise<Load> {
  try {
    const { load } = namedExports(await loadModule(pathToFileURL(path)))
    if (typeof load === 'function') return load as Load
  } catch (error) {
    throw new LoadFailure(`${name} can't be loaded: ${messageOf(error)}`, false, { cause: error })
  }
  throw new LoadFailure(`${name} does not export a function named load`, true)
}

function toFailure({ name }: LoadModule, error: unknown): LoadFailure {
  if (error instanceof LoadFailure) return error
  const permanent =
    typeof error === 'object' && error !== null && 'permanent' in error && error.permanent === true
  return new LoadFailure(`${name} failed: ${messageOf(error)}`, permanent, { cause: error })
}

const MAX_MESSAGE = 100

function messageOf(error: unknown): string {
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error
  const line = typeof message === 'string' ? message : `it threw a value of type ${typeof message}`
  return line.replace(/\s+/g, ' ').slice(0, MAX_MESSAGE)
}

function withResolvers<T>(): { promise: Promise<T>; reject: (error: Error) => void } {
  let reject!: (error: Error) => void
  const promise = new Promise<T>((_, refuse) => (reject = refuse))
  return { promise, reject }
}
