/**
 * An HTTP client that sends requests at a constant rate: `node generator.js PORT RATE`. The parent sends it 'begin' and
 * 'end'. It is an open loop: it sends a request when it is due, even if earlier ones are unanswered, and counts its
 * latency from the time at which it was due. A client that waits for each response would send fewer requests while the
 * server is slow, and so omit the worst latencies (coordinated omission).
 */
import http from 'node:http'
import { createHistogram } from 'node:perf_hooks'
import { fromHistogram } from '../distribution.js'

const port = Number(process.argv[2])
const rate = Number(process.argv[3])
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 })
/** Latencies in microseconds. */
const latency = createHistogram()
let timer: NodeJS.Timeout | undefined
let start = 0
let next = 0
let inFlight = 0

process.on('message', (command: 'begin' | 'end') => {
  if (command === 'begin') begin()
  else void end()
})
process.on('disconnect', () => {
  clearInterval(timer)
  agent.destroy()
})
answer({})

/** The parent may be gone. */
function answer(message: object): void {
  process.send?.(message, undefined, undefined, () => undefined)
}

function begin(): void {
  latency.reset()
  start = performance.now()
  next = 0
  timer = setInterval(sendDueRequests, 1)
  answer({})
}

async function end(): Promise<void> {
  clearInterval(timer)
  while (inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  answer({ latency: fromHistogram(latency, 1e3) })
}

function sendDueRequests(): void {
  const due = Math.floor(((performance.now() - start) * rate) / 1000) + 1
  for (; next < due; next++) sendRequest(start + (next * 1000) / rate)
}

function sendRequest(dueAt: number): void {
  inFlight++
  const done = (): void => {
    inFlight--
    latency.record(Math.max(1, Math.round((performance.now() - dueAt) * 1e3)))
  }
  http
    .get({ port, host: '127.0.0.1', path: '/orders/42', agent }, (response) => {
      response.resume().once('end', done)
    })
    .on('error', done)
}
