import { ThreadpostError } from '../../errors.js'
import { isId } from '../../ids.js'
import type { Message } from '../../messageView.js'
import type { MailJob, Status } from '../../record.js'
import type { ListQuery, MessagePage, QueueStats } from '../driver.js'
import { cursorOf, limitOf, matches } from '../listing.js'
import type { StoredRow } from '../outboxWire.js'
import { showRow, statusOf, unpackHead, unpackLoaded } from '../rows.js'
import type { Store } from './store.js'
import { ask } from './unavailable.js'

/** Messages looked at for one page of a filtered listing. */
const MOST_LOOKED_AT = 2_000

/** What can be asked about the messages in Redis. */
export class Reading {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async find(id: string): Promise<Message | undefined> {
    const { paused, rows } = await ask(() => this.#store.look([id]))
    return rows[0] && show(rows[0], paused)
  }

  async load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const row = await ask(() => this.#store.load(id))
    return row && unpackLoaded(row)
  }

  async list(query: ListQuery): Promise<MessagePage> {
    const limit = limitOf(query)
    let before = cursorOf(query)
    const { q = '' } = query
    if (isId(q)) return this.#listOne(q, query)
    if (q !== '')
      throw new ThreadpostError(
        'UNSUPPORTED',
        'q: a queue on Redis finds whole ids only; look for recipient, tag or template instead',
        { path: 'q' },
      )
    const messages: Message[] = []
    for (let looked = 0; looked < MOST_LOOKED_AT;) {
      const { paused, rows } = await ask(() => this.#store.page(before, limit, query.status))
      looked += rows.length
      for (const row of rows) {
        before = row.seq
        if (!matches(unpackHead(row), shownStatus(row, paused), query)) continue
        messages.push(show(row, paused))
        if (messages.length === limit) return { messages, cursor: String(before) }
      }
      if (rows.length < limit) return { messages }
    }
    return { messages, cursor: String(before) }
  }

  async stats(): Promise<QueueStats> {
    const { counts, ...rest } = await ask(() => this.#store.stats())
    if (rest.paused) {
      counts.held += counts.queued
      counts.queued = 0
    }
    return { ...counts, ...rest }
  }

  async #listOne(id: string, { status }: ListQuery): Promise<MessagePage> {
    const message = await this.find(id)
    return {
      messages: message === undefined || (status ?? message.status) !== message.status ? [] : [message],
    }
  }
}

/** What waits in line is held for as long as the queue is paused. */
function shownStatus(row: StoredRow, paused: boolean): Status {
  const status = statusOf(row)
  return paused && status === 'queued' ? 'held' : status
}

/** A message as `find()` shows it. */
export function show(row: StoredRow, paused: boolean): Message {
  return showRow(row, shownStatus(row, paused), paused)
}
