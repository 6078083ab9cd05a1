import type { ListQuery, Mailer, Message } from '../index.js'
import type { Neighbors } from './viewModels.js'

/** Pages that are read at most. */
const MAX_PAGES = 60
const PAGE_SIZE = 50
/** Milliseconds by which the clock of another process may be ahead. */
const CLOCK_SKEW = 60_000

type Filter = Omit<ListQuery, 'limit' | 'cursor'>

/**
 * Finds the messages before and after another one, among those that match. A list only goes from new to old, so the next newer
 * message is found by halving the time since then. Beyond its bound of pages, the search gives up.
 */
export async function neighborsOf(mailer: Mailer, message: Message, filter: Filter): Promise<Neighbors> {
  const search = new NeighborSearch(mailer, message, filter)
  const older = await search.older()
  const newer = (await search.newerAtOnce()) ?? (await search.newer())
  return { ...(newer === undefined ? {} : { newer }), ...(older === undefined ? {} : { older }) }
}

class NeighborSearch {
  readonly #mailer: Mailer
  readonly #id: string
  readonly #at: number
  readonly #filter: Filter
  #pages = 0

  constructor(mailer: Mailer, { id, acceptedAt }: Message, filter: Filter) {
    this.#mailer = mailer
    this.#id = id
    this.#at = Date.parse(acceptedAt)
    this.#filter = filter
  }

  /** The next one in the list; if the message itself doesn't match, the first that was accepted before it. */
  async older(): Promise<string | undefined> {
    let passed = false
    for await (const { id, acceptedAt } of this.#matches(0, this.#at)) {
      if (passed || (id !== this.#id && Date.parse(acceptedAt) < this.#at)) return id
      passed = id === this.#id
    }
    return undefined
  }

  /** The one before it in the list, if both were accepted in the same millisecond. */
  async newerAtOnce(): Promise<string | undefined> {
    let before: string | undefined
    for await (const { id } of this.#matches(this.#at, this.#at)) {
      if (id === this.#id) return before
      before = id
    }
    return undefined
  }

  /** The oldest of those that were accepted in a later millisecond. */
  async newer(): Promise<string | undefined> {
    let since = this.#at + 1
    let until = Date.now() + CLOCK_SKEW
    while (since <= until) {
      const page = await this.#page(since, until, PAGE_SIZE)
      if (page === undefined) return undefined
      if (page.cursor === undefined) return page.messages.at(-1)?.id
      if (since === until) return undefined
      const middle = Math.floor((since + until) / 2)
      const half = await this.#hasAny(since, middle)
      if (half === undefined) return undefined
      if (half) until = middle
      else since = middle + 1
    }
    return undefined
  }

  /** Undefined if that is not known within the bound. */
  async #hasAny(since: number, until: number): Promise<boolean | undefined> {
    for await (const _ of this.#matches(since, until, 1)) return true
    return this.#pages > MAX_PAGES ? undefined : false
  }

  async *#matches(since: number, until: number, limit = PAGE_SIZE): AsyncGenerator<Message, void, undefined> {
    let cursor: string | undefined
    do {
      const page = await this.#page(since, until, limit, cursor)
      if (page === undefined) return
      yield* page.messages
      ;({ cursor } = page)
    } while (cursor !== undefined)
  }

  /** Undefined beyond the bound. */
  async #page(
    since: number,
    until: number,
    limit: number,
    cursor?: string,
  ): Promise<Awaited<ReturnType<Mailer['list']>> | undefined> {
    if (++this.#pages > MAX_PAGES) return undefined
    return this.#mailer.list({
      ...this.#filter,
      since: Math.max(since, this.#filter.since ?? 0),
      until: Math.min(until, this.#filter.until ?? until),
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    })
  }
}
