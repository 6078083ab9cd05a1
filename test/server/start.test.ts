import path from 'node:path'
import type { MailerOptions } from 'threadpost'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type * as built from '../../src/server/server.js'
import { testInbox, testMailer } from '../support/mailer.js'

const { startServer } = (await import(
  new URL('../../dist/src/server/server.js', import.meta.url).href
)) as typeof built

const TEMPLATES = path.join(import.meta.dirname, '../../templates')

async function serve(options: Partial<MailerOptions> = {}, server: { token?: string } = {}) {
  const mailer = await testMailer({ transport: 'inbox:', templates: TEMPLATES, threads: 1, ...options })
  const running = await startServer({ mailer, port: 0, ...server })
  onTestFinished(() => running.close())
  return { mailer, url: running.url, close: () => running.close() }
}

function press(url: string, button: string, body: object = {}, type = 'application/json'): Promise<Response> {
  return fetch(`${url}/demo/${button}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: JSON.stringify(body),
  })
}

interface Frame {
  delay: number
  run?: {
    cells: [number, string, 0 | 1, number][]
    totals: {
      statuses: Record<string, number>
      uncertain: number
      arrived: number
      doubled: number
      unexplained: number
    }
    result?: { seconds: number; delay: { max: number } }
  }
}

async function* frames(url: string): AsyncGenerator<Frame, void, undefined> {
  const response = await fetch(`${url}/demo/events`)
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split('\n\n')
    text = blocks.pop() ?? ''
    // Others are signs of life.
    for (const block of blocks.filter((each) => each.startsWith('data: ')))
      yield JSON.parse(block.slice('data: '.length)) as Frame
  }
}

/** Counts how often timers with this interval, in milliseconds, fire from now on. */
function countTicks(interval: number): () => number {
  let ticks = 0
  const begin = globalThis.setInterval
  const spy = vi.spyOn(globalThis, 'setInterval').mockImplementation(((work: () => void, ms: number) =>
    begin(() => {
      if (ms === interval) ticks++
      work()
    }, ms)) as typeof setInterval)
  onTestFinished(() => spy.mockRestore())
  return () => ticks
}

describe('the load test of the start page', () => {
  test('streams at most one frame per tick with correct totals, and marks each duplicate', async () => {
    const ticks = countTicks(200)
    const { url, mailer } = await serve()
    expect((await press(url, 'lose-replies')).status).toBe(204)
    expect((await press(url, 'run', { way: 'threads' })).status).toBe(202)
    expect((await press(url, 'run', { way: 'threads' })).status).toBe(409)
    const cells = new Map<number, [string, number, number]>()
    let received = 0
    for await (const { run } of frames(url)) {
      received++
      if (run === undefined) continue
      const { statuses } = run.totals
      expect(Object.values(statuses).reduce((sum, count) => sum + count, 0)).toBe(500)
      for (const [index, ...state] of run.cells) cells.set(index, state)
      if (run.result === undefined || run.totals.doubled < 3) continue
      expect(statuses['sent']).toBe(500)
      expect(run.totals).toMatchObject({ arrived: 500, unexplained: 0 })
      expect(run.totals.uncertain).toBeGreaterThanOrEqual(3)
      // The first frame is sent at once.
      expect(received).toBeLessThanOrEqual(1 + ticks())
      break
    }
    expect([...cells.values()].filter(([status]) => status === 'sent')).toHaveLength(500)
    expect([...cells.values()].filter(([, uncertain, arrived]) => arrived > 1 && uncertain === 0)).toEqual([])
    expect(mailer.inbox?.faults.list()).toEqual([])
  })

  test('accepts only valid requests of its own page', async () => {
    const { url } = await serve()
    expect((await press(url, 'run', { way: 'sideways' })).status).toBe(400)
    for (const button of ['run', 'kill-thread', 'lose-replies'])
      expect((await press(url, button, { way: 'threads' }, 'text/plain')).status).toBe(415)
    const { thread } = (await (await press(url, 'kill-thread')).json()) as { thread: number }
    expect(thread).toBeGreaterThan(0)
  })

  test('ends during a run if the server closes', async () => {
    for (const way of ['threads', 'inline']) {
      const { url, close, mailer } = await serve()
      const stream = frames(url)
      await stream.next()
      await press(url, 'run', { way })
      while (mailer.inbox!.count < 3) await stream.next()
      await close()
      for await (const frame of stream) expect(frame.delay).toBeGreaterThanOrEqual(0)
    }
  })

  test('is absent if mail could leave the machine, or with a login', async () => {
    const inbox = await testInbox()
    const servers = [
      await serve({ transport: inbox.url }),
      await serve({ transport: undefined as never, transports: { real: inbox.url, test: 'inbox:' } }),
    ]
    for (const { url } of servers) {
      expect(await (await fetch(url)).text()).not.toContain('id="demo"')
      expect((await press(url, 'run', { way: 'threads' })).status).toBe(404)
    }
    const { url } = await serve({}, { token: 'a-long-secret-token' })
    const headers = { authorization: 'Bearer a-long-secret-token' }
    const page = await (await fetch(url, { headers })).text()
    expect(page).toContain('id="signup"')
    expect(page).not.toContain('id="demo"')
    const open = await serve()
    expect(await (await fetch(open.url)).text()).toContain('id="demo"')
  })
})
