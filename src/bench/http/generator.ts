/**
 * A process that asks for a route at a steady rate: `node generator.js PORT RATE`, told 'begin' and 'end'. Open loop:
 * a request that is due is sent even if the ones before have not been answered, and its time counts from when it was
 * due. A client that waits for each answer would ask less just when the server is slow, and leave the worst waits out.
 */
import http from 'node:http'
import { createHistogram } from 'node:perf_hooks'
import { fromHistogram } from '../distribution.js'

const port = Number(process.argv[2])
const rate = Number(process.argv[3])
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 })
/** In microseconds. */
const latency = createHistogram()
let timer: NodeJS.Timeout | undefined
let start = 0
let next = 0
let underWay = 0

process.on('message', (order: 'begin' | 'end') => {
  if (order === 'begin') begin()
  else void end()
})
process.on('disconnect', () => {
  clearInterval(timer)
  agent.destroy()
})
process.send?.({})

function begin(): void {
  latency.reset()
  start = performance.now()
  next = 0
  timer = setInterval(askWhatIsDue, 1)
  process.send?.({})
}

async function end(): Promise<void> {
  clearInterval(timer)
  while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  process.send?.({ latency: fromHistogram(latency, 1e3) })
}

function askWhatIsDue(): void {
  const due = Math.floor(((performance.now() - start) * rate) / 1000) + 1
  for (; next < due; next++) ask(start + (next * 1000) / rate)
}

function ask(dueAt: number): void {
  underWay++
  const done = (): void => {
    underWay--
    latency.record(Math.max(1, Math.round((performance.now() - dueAt) * 1e3)))
  }
  http
    .get({ port, host: '127.0.0.1', path: '/orders/42', agent }, (response) => {
      response.resume().once('end', done)
    })
    .on('error', done)
}
