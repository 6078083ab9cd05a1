/** What one client did on one connection. */
export interface Visit {
  id: number
  /** ISO 8601. */
  openedAt: string
  /** Absent while the connection is open. */
  closedAt?: string
  /** The commands as they arrived, without credentials; at most the first 1,000. */
  commands: string[]
  /** MAIL commands that arrived. */
  transactions: number
  /** Messages that were kept. */
  messages: number
  /** Whether the client said QUIT. */
  quit: boolean
}

const COMMANDS_KEPT = 1000

/** The guest book: the last connections, newest last. */
export class Visits {
  readonly #limit: number
  #visits: Visit[] = []
  #count = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  open(): Visit {
    const visit: Visit = {
      id: ++this.#count,
      openedAt: new Date().toISOString(),
      commands: [],
      transactions: 0,
      messages: 0,
      quit: false,
    }
    this.#visits.push(visit)
    if (this.#visits.length > this.#limit) this.#visits.shift()
    return visit
  }

  list(): Visit[] {
    return this.#visits.map((visit) => ({ ...visit, commands: [...visit.commands] }))
  }

  clear(): void {
    this.#visits = []
  }
}

export function recordCommand(visit: Visit, verb: string, line: string): void {
  if (verb === 'MAIL') visit.transactions++
  if (verb === 'QUIT') visit.quit = true
  if (visit.commands.length < COMMANDS_KEPT) visit.commands.push(verb === 'AUTH' ? 'AUTH …' : line)
}
