import { parseJson } from '../src/protocol/parseJson.js'
import type {
  ComposeTask,
  DeliverTask,
  JsonObject,
  RenderTask,
  ThreadLogLine,
} from '../src/protocol/tasks.js'

/** Lines a thread may write in one second; further lines are only counted. */
const MOST_LINES = 1_000
const MAX_MESSAGE = 2_000
const MAX_FIELDS = 8_192

/** Log lines from a thread, mostly from the application's modules: in order, and limited in number and size. */
export class ThreadLog {
  /** The task that is running: lines written meanwhile carry its ids. */
  subject: DeliverTask | RenderTask | ComposeTask | undefined
  readonly #emit: (line: ThreadLogLine) => void
  #second = 0
  #lines = 0
  #dropped = 0

  constructor(emit: (line: ThreadLogLine) => void) {
    this.#emit = emit
  }

  /** Like pino: fields and a message, or only a message. */
  readonly write = (level: ThreadLogLine['level'], fields: unknown, message?: unknown): void => {
    const second = Math.floor(performance.now() / 1_000)
    if (second !== this.#second) this.#begin(second)
    if (++this.#lines > MOST_LINES) {
      this.#dropped++
      return
    }
    const [about, text] =
      typeof fields === 'object' && message !== undefined ? [fields, message] : [{}, fields]
    this.#emit({ level, fields: { ...plain(about), ...this.#ids() }, message: textOf(text) })
  }

  #begin(second: number): void {
    this.#second = second
    this.#lines = 0
    if (this.#dropped === 0) return
    this.#emit({
      level: 'warn',
      fields: { dropped: this.#dropped },
      message: 'A thread wrote too many log lines',
    })
    this.#dropped = 0
  }

  #ids(): JsonObject {
    const { subject } = this
    if (subject === undefined) return {}
    const { content, context } = 'payload' in subject ? subject.payload : subject
    return {
      ...('payload' in subject ? { id: subject.payload.id } : {}),
      ...('attempt' in subject ? { attempt: subject.attempt } : {}),
      ...(content.kind === 'template' ? { template: content.name } : {}),
      ...(context === undefined ? {} : { context }),
    }
  }
}

/** Converts fields through JSON, since a function or a socket can't be cloned to the main thread. */
function plain(fields: unknown): JsonObject {
  try {
    const text = JSON.stringify(fields, (_, value: unknown) =>
      value instanceof Error ? String(value) : value,
    )
    return text.length > MAX_FIELDS ? { cut: text.slice(0, MAX_FIELDS) } : (parseJson(text) as JsonObject)
  } catch (error) {
    return { unwritable: String(error) }
  }
}

function textOf(message: unknown): string {
  return (typeof message === 'string' ? message : JSON.stringify(plain({ message }))).slice(0, MAX_MESSAGE)
}
