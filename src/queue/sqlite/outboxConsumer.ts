import { waitAtMost } from '../../clock.js'
import { enter, type MailJob, type MessageState, newState, settle } from '../../message/messageState.js'
import type { GenerationalCache } from '../../structures/generationalCache.js'
import { IndexedBag, type Member } from '../../structures/indexedBag.js'
import { dropsContent } from '../actions.js'
import type { ChangeListener, Consumer, QueuedMessage, Retention } from '../driver.js'
import { packState, unpackHead, unpackState, unpackClaimed } from '../rowCodec.js'
import { type StateRow, STATUS_NUMBERS, type ClaimedRow } from '../storedRow.js'
import type { OutboxClient } from './outboxClient.js'
import type { CachedRow, OrphanedRow } from './outboxProtocol.js'
import { PrefetchEstimator, SlotAllocator } from './prefetch.js'

/** A message that this process has taken: it stands as `sending` in the file. */
export interface ClaimedMessage extends QueuedMessage, Member {
  readonly seq: number
  readonly rev: number
  readonly job: MailJob
  readonly state: MessageState
  readonly bytes: number
  journalSlot?: number
}

/** Outcomes that wait for being stored, for each slot; beyond that nothing new is begun. */
const UNSTORED_PER_SLOT = 20
/** Notes of deliveries that have their room on the disk from the start. */
const FEWEST_NOTES = 128
const MOST_NOTES = 2_000
/** Bytes of messages in stock, beyond which no more are asked for. */
const STOCK_BYTES = 16 * 1024 * 1024
/** Milliseconds until an outcome that couldn't be stored is tried again. */
const AGAIN = 250
/** Milliseconds that outcomes are waited for when everything else has ended; what is left is told by the notes. */
const LAST_WORDS = 5_000

/**
 * The messages in this process's hands. A stock bridges the time of a commit, so that a free slot never waits for the
 * disk; it is told apart from what was begun by the notes of the threads.
 *
 * A message is in exactly one of: `#stock`, under way (`#open`), on its way back (`#unstored`), or with somebody who
 * wants to change it by hand (`withdraw()` or `takeBack()`, until `handOver()`).
 */
export class OutboxConsumer {
  readonly #link: OutboxClient
  readonly #consumer: Consumer
  readonly #changed: ChangeListener
  readonly #data: Retention['data']
  readonly #atHand: GenerationalCache<string, MailJob>
  readonly #stock: ClaimedMessage[] = []
  readonly #inHand = new Set<number>()
  readonly #underWay = new IndexedBag<ClaimedMessage>()
  readonly #pace = new PrefetchEstimator()
  readonly #notes = new SlotAllocator()
  #open = 0
  #unstored = 0
  #asked = 0
  #stockBytes = 0
  #begun = false
  #paused = false
  #closing = false
  #rested: (() => void) | undefined

  /** @param atHand messages that this process took in a moment ago */
  constructor(
    link: OutboxClient,
    consumer: Consumer,
    changed: ChangeListener,
    data: Retention['data'],
    atHand: GenerationalCache<string, MailJob>,
  ) {
    this.#atHand = atHand
    this.#link = link
    this.#consumer = consumer
    this.#changed = changed
    this.#data = data
  }

  /** Begins, or goes on with an outbox thread that knows nothing yet. */
  start(): void {
    this.#begun = true
    this.#asked = 0
    // A note is kept from the beginning of a delivery until its outcome is stored.
    const most = this.#consumer.slots * (UNSTORED_PER_SLOT + 1)
    const notes = Math.min(Math.max(most, FEWEST_NOTES), MOST_NOTES)
    this.#link.send('deliver', { inHand: [...this.#inHand], notes })
    this.#ask()
  }

  get prefetched(): number {
    return this.#stock.length
  }

  isPrefetched(seq: number): boolean {
    return this.#stock.some((taken) => taken.seq === seq)
  }

  receive(rows: readonly (ClaimedRow | CachedRow)[]): void {
    this.#asked = Math.max(0, this.#asked - rows.length)
    for (const row of rows) {
      const taken = 'id' in row ? this.#known(row) : unpacked(row)
      this.#inHand.add(row.seq)
      if (taken === undefined) {
        this.#return([row])
        continue
      }
      this.#stock.push(taken)
      this.#stockBytes += taken.bytes
    }
    if (this.#paused || this.#closing) this.#putBack()
    else this.#pump()
  }

  /** It stands as it was accepted; if it isn't at hand after all it goes back, and comes again as it is stored. */
  #known({ seq, rev, id }: CachedRow): ClaimedMessage | undefined {
    const job = this.#atHand.take(id)
    if (job === undefined) return undefined
    const bytes = 'data' in job.content ? job.content.data.length : 0
    return { seq, rev, job, state: { ...newState(job), status: 'sending' }, bytes, place: -1 }
  }

  /** Decides on messages that a process died with. */
  recover(rows: readonly OrphanedRow[]): void {
    for (const row of rows) {
      const job = unpackHead(row)
      const state = unpackState(row, job)
      const settlement = this.#consumer.recover({ job, state }, row.evidence ?? undefined, row.losses + 1)
      if (settlement === undefined) {
        void this.#insist(() =>
          this.#link.request('release', { rows: [{ seq: row.seq, rev: row.rev, lost: true }] }),
        )
      } else {
        settle(state, settlement, Date.now())
        void this.#store({ seq: row.seq, rev: row.rev, job, state, bytes: 0, place: -1 })
      }
    }
  }

  pause(paused: boolean): void {
    if (paused === this.#paused) return
    this.#paused = paused
    if (paused) this.#putBack()
    else this.#pump()
  }

  /** Takes back a message that is under way. @returns undefined where it may be sent; else its outcome is ignored */
  cancelDelivery(id: string): ClaimedMessage | undefined {
    const [taken] = this.#underWay.filter(({ job }) => job.id === id)
    if (taken === undefined || !this.#consumer.cancel(id)) return undefined
    this.#underWay.remove(taken)
    return taken
  }

  /** Takes a message out of the stock, for somebody who wants to change it before it is begun. */
  removePrefetched(seq: number): ClaimedMessage | undefined {
    const at = this.#stock.findIndex((taken) => taken.seq === seq)
    if (at < 0) return undefined
    const [taken] = this.#stock.splice(at, 1)
    this.#stockBytes -= taken?.bytes ?? 0
    return taken
  }

  /** What was taken out for a change: it is the outbox's again once the change is stored, and else goes back in line. */
  finishChange(taken: ClaimedMessage, changed: boolean): void {
    if (changed) this.#inHand.delete(taken.seq)
    else this.#return([taken])
  }

  /** Begins nothing more, puts the stock back, and waits for what is under way, at most `deadline` ms. */
  async drain(deadline: number): Promise<void> {
    this.#closing = true
    this.#putBack()
    await this.#link.request('stop', {}).catch(() => undefined)
    await this.#until(() => this.#open + this.#unstored === 0, deadline)
  }

  /** Waits until all outcomes are stored, as long as there is hope. */
  async close(): Promise<void> {
    await this.#until(() => this.#unstored === 0, LAST_WORDS)
  }

  async #until(done: () => boolean, deadline: number): Promise<void> {
    if (done()) return
    const rested = new Promise<void>((resolve) => {
      this.#rested = () => {
        if (done()) resolve()
      }
    })
    await waitAtMost(rested, deadline)
  }

  #pump(): void {
    const mostUnstored = this.#consumer.slots * UNSTORED_PER_SLOT
    while (!this.#closing && this.#open < this.#consumer.slots && this.#unstored < mostUnstored) {
      const taken = this.#stock.shift()
      if (taken === undefined) break
      this.#stockBytes -= taken.bytes
      void this.#deliver(taken)
    }
    this.#ask()
  }

  /** Asks for as many as fill the free slots and the stock, in lots of half a stock. */
  #ask(): void {
    if (!this.#begun || this.#paused || this.#closing || this.#stockBytes > STOCK_BYTES) return
    const { slots } = this.#consumer
    const stock = this.#pace.target(slots)
    const wanted = slots - this.#open + stock - this.#stock.length - this.#asked
    if (wanted < Math.ceil(stock / 2)) return
    this.#asked += wanted
    this.#link.send('credit', { slots: wanted })
  }

  async #deliver(taken: ClaimedMessage): Promise<void> {
    this.#open++
    taken.journalSlot = this.#notes.acquire()
    enter(taken.state, 'sending', Date.now())
    this.#underWay.add(taken)
    this.#changed(taken)
    const settlement = await this.#consumer.deliver(taken)
    this.#open--
    this.#pace.recordCompletion()
    // A message that was cancelled meanwhile is settled, and may be on its way again.
    if (taken.place >= 0) {
      this.#underWay.remove(taken)
      settle(taken.state, settlement, Date.now())
      void this.#store(taken)
    } else {
      this.#notes.release(taken.journalSlot)
    }
    this.#rested?.()
    this.#pump()
  }

  /** Stores what became of a message, however long it takes, and tells of it. */
  async #store(taken: ClaimedMessage): Promise<void> {
    const { seq, rev, state } = taken
    const packed: StateRow = packState(state)
    const drop = dropsContent(state.status, this.#data)
    const from = STATUS_NUMBERS.sending
    const answer = await this.#insist(() =>
      this.#link.request('write', { seq, rev, from, state: packed, drop }),
    )
    if (answer === undefined) return
    this.#inHand.delete(seq)
    if (taken.journalSlot !== undefined) this.#notes.release(taken.journalSlot)
    if (answer === 'written') this.#changed(taken)
    this.#pump()
  }

  #putBack(): void {
    const stock = this.#stock.splice(0)
    this.#stockBytes = 0
    if (stock.length > 0) this.#return(stock)
  }

  #return(taken: readonly Pick<ClaimedMessage, 'seq' | 'rev'>[]): void {
    const rows = taken.map(({ seq, rev }) => ({ seq, rev, lost: false }))
    void this.#insist(() => this.#link.request('release', { rows })).then(() => {
      for (const { seq } of rows) this.#inHand.delete(seq)
    })
  }

  /** Tries again until the outbox takes it: only memory knows what is to be stored. @returns undefined once it is closed */
  async #insist<T>(request: () => Promise<T>): Promise<T | undefined> {
    this.#unstored++
    try {
      for (;;) {
        try {
          return await request()
        } catch {
          if (this.#link.closed) return undefined
          await new Promise((resolve) => setTimeout(resolve, AGAIN))
        }
      }
    } finally {
      this.#unstored--
      this.#rested?.()
    }
  }
}

function unpacked(row: ClaimedRow): ClaimedMessage {
  const job = unpackClaimed(row)
  const bytes = row.content.length + job.attachments.reduce((sum, { size }) => sum + size, 0)
  return { seq: row.seq, rev: row.rev, job, state: unpackState(row, job), bytes, place: -1 }
}
