import type { Status } from '../../../src/message/messageState.js'
import type { ChangeListener } from '../../../src/queue/driver.js'

/** Records the changes that a queue reports, and lets a test wait for one. */
export class Changes {
  readonly log: { id: string; status: Status; at: number }[] = []
  readonly #waiting: { id: string; status: Status; resolve: () => void }[] = []

  readonly listener: ChangeListener = ({ job, state }) => {
    this.log.push({ id: job.id, status: state.status, at: Date.now() })
    for (const waiter of this.#waiting)
      if (waiter.id === job.id && waiter.status === state.status) waiter.resolve()
  }

  async until(id: string, status: Status): Promise<void> {
    if (this.log.some((change) => change.id === id && change.status === status)) return
    await new Promise<void>((resolve) => this.#waiting.push({ id, status, resolve }))
  }

  of(id: string): Status[] {
    return this.log.filter((change) => change.id === id).map(({ status }) => status)
  }
}
