/** Messages in flight on a connection, unless the transport sets `pipelineDepth`. */
const MAX_DEPTH = 8
/** The share of a message's latency that may be spent waiting behind others before the depth stays as it is. */
const QUEUED_SHARE = 0.3
/** The same, before the depth becomes smaller. */
const CONGESTED_SHARE = 0.6
/** Messages sent alone after which the lowest latency is measured anew: the route or the server may have become slower. */
const REMEASURE = 20

/**
 * Decides how many messages a connection may have in flight. It grows only while the round trip is the bottleneck: while
 * a message that is sent behind others is answered about as fast as one that is sent alone. Once the server can't keep
 * up, messages queue there, their latency rises, and the depth no longer grows. The idea is that of TCP Vegas (Brakmo and
 * Peterson, "TCP Vegas: End to End Congestion Avoidance", 1995).
 */
export class PipelineDepth {
  #depth: number
  readonly #fixed: boolean
  #lowest = Infinity
  /** The lowest latency of the last messages that were sent alone, and their number. */
  #lowestAlone = Infinity
  #alone = 0
  /** Messages since the depth changed: one change per round trip. */
  #settled = 0

  /** @param fixed the number set by the transport, if any */
  constructor(fixed: number | undefined) {
    this.#fixed = fixed !== undefined
    this.#depth = fixed ?? 1
  }

  get current(): number {
    return this.#depth
  }

  /**
   * Records a message.
   * @param latency milliseconds from its write to the last reply
   * @param full whether as many messages were in flight as allowed
   */
  record(latency: number, full: boolean): void {
    if (this.#fixed) return
    this.#lowest = Math.min(this.#lowest, latency)
    if (this.#depth === 1) this.#remeasure(latency)
    if (++this.#settled < this.#depth) return
    const queued = latency > 0 ? 1 - this.#lowest / latency : 0
    if (full && queued < QUEUED_SHARE && this.#depth < MAX_DEPTH) this.#change(1)
    else if (queued > CONGESTED_SHARE && this.#depth > 1) this.#change(-1)
  }

  #remeasure(latency: number): void {
    this.#lowestAlone = Math.min(this.#lowestAlone, latency)
    if (++this.#alone < REMEASURE) return
    this.#lowest = this.#lowestAlone
    this.#lowestAlone = Infinity
    this.#alone = 0
  }

  #change(by: 1 | -1): void {
    this.#depth += by
    this.#settled = 0
  }
}
