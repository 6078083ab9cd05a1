import type * as Otel from '@opentelemetry/api'

/** The global under which the API stores a registered SDK. Without it the API need not be loaded. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1')

/** The API of OpenTelemetry, an optional peer: loaded once an SDK is registered in the process. */
export class OpenTelemetry {
  #api: typeof Otel | undefined
  #loading: Promise<void> | undefined

  /** Resolves when the API is loaded, if an SDK is registered. An SDK registered later gets the messages after that. */
  static async load(): Promise<OpenTelemetry> {
    const telemetry = new OpenTelemetry()
    if (REGISTRY in globalThis) await telemetry.#load()
    return telemetry
  }

  /** The API, once it is loaded. */
  get api(): typeof Otel | undefined {
    return this.#api
  }

  /** The API; if it isn't loaded and an SDK was registered since, begins to load it for the next message. */
  get(): typeof Otel | undefined {
    if (this.#loading === undefined && REGISTRY in globalThis) void this.#load()
    return this.#api
  }

  #load(): Promise<void> {
    this.#loading ??= import('@opentelemetry/api').then(
      (api) => {
        this.#api = api
      },
      () => undefined,
    )
    return this.#loading
  }
}
