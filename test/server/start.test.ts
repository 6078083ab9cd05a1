import path from 'node:path'
import type { MailerOptions } from 'threadpost'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type * as built from '../../src/server/server.js'
import type { RunResult } from '../../src/server/start/demoRun.js'
import { startPage } from '../../src/server/start/startPage.js'
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
    result?: RunResult
  }
  results?: Partial<Record<string, RunResult>>
}

/** Waits for the result of the run in progress. */
async function ended(
  url: string,
): Promise<{ result: RunResult; results: Partial<Record<string, RunResult>> }> {
  for await (const { run, results } of frames(url))
    if (run?.result !== undefined) return { result: run.result, results: results! }
  throw new Error('the stream has ended')
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
    // Starts a run.
    expect((await press(url, 'lose-replies')).status).toBe(202)
    expect((await press(url, 'run', { way: 'threads' })).status).toBe(409)
    const cells = new Map<number, [string, number, number]>()
    let received = 0
    for await (const { run, results } of frames(url)) {
      received++
      if (run === undefined) continue
      const { statuses } = run.totals
      expect(Object.values(statuses).reduce((sum, count) => sum + count, 0)).toBe(500)
      for (const [index, ...state] of run.cells) cells.set(index, state)
      if (run.result === undefined || run.totals.doubled < 3) continue
      expect(statuses['sent']).toBe(500)
      expect(run.totals).toMatchObject({ arrived: 500, unexplained: 0 })
      expect(run.totals.uncertain).toBeGreaterThanOrEqual(3)
      expect(results).toEqual({ disturbed: run.result })
      expect(run.result.disturbed).toEqual(['replies were lost'])
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
  })

  test('compares clean runs only, with the loading of MJML included and apart', async () => {
    const { url } = await serve()
    await press(url, 'run', { way: 'compiled' })
    const compiled = await ended(url)
    expect(compiled.results).toEqual({ compiled: compiled.result })
    expect(compiled.result).toMatchObject({ failed: 0, disturbed: [] })
    const { delay, loading, seconds } = compiled.result
    expect(loading!.seconds).toBeLessThan(seconds)
    expect(delay.max).toBe(Math.max(delay.sending, loading!.delay))
    // Another process sent requests meanwhile.
    expect(compiled.result.httpP99).toBeGreaterThan(0)

    await press(url, 'run', { way: 'compiled' })
    await press(url, 'lose-replies')
    const disturbed = await ended(url)
    expect(disturbed.results).toEqual({ compiled: compiled.result, disturbed: disturbed.result })
    // Nothing sends again what an inline sender was given no reply for.
    expect(disturbed.result).toMatchObject({ number: 2, failed: 3, disturbed: ['replies were lost'] })
    expect(disturbed.result.loading).toBeUndefined()
    // A page that is opened now shows the same.
    expect(await ended(url)).toEqual(disturbed)
  })

  test('compares 100 welcome mails in React, through threads and inline', async () => {
    const { url, mailer } = await serve()
    expect(await (await fetch(url)).text()).toContain('id="result-react-inline"')
    await press(url, 'run', { way: 'react-threads' })
    expect((await press(url, 'kill-thread')).status).toBe(409)
    const threads = await ended(url)
    expect(threads.result).toMatchObject({ way: 'react-threads', messages: 100, failed: 0, disturbed: [] })
    await press(url, 'run', { way: 'react-inline' })
    const inline = await ended(url)
    expect(inline.result).toMatchObject({ way: 'react-inline', messages: 100, failed: 0, disturbed: [] })
    expect(inline.results).toEqual({ 'react-threads': threads.result, 'react-inline': inline.result })
    for (const { result } of [threads, inline]) {
      expect(result.httpP99).toBeGreaterThan(0)
      expect(result.loading!.seconds).toBeLessThan(result.seconds)
    }
    const mails = await mailer.inbox!.messages()
    expect(mails.filter(({ subject }) => subject.startsWith('Welcome'))).toHaveLength(200)
    expect(mails.every(({ html }) => html?.includes('Open your account'))).toBe(true)
  })

  test('says which packages the comparison of React needs where they are not installed', () => {
    const page = startPage({ inbox: true, threaded: true, demo: { replyDelay: 60, hasReact: false } })
    expect(page).not.toContain('react-inline')
    expect(page).toMatch(/missing here, because the packages react, react-dom,\s+@react-email/)
  })

  test('ends no worker for a run that uses none', async () => {
    const { url } = await serve()
    await press(url, 'run', { way: 'inline' })
    const response = await press(url, 'kill-thread')
    expect(response.status).toBe(409)
    expect(((await response.json()) as { detail: string }).detail).toMatch(/uses no worker/)
  })

  test.each(['threads', 'inline', 'compiled', 'react-threads', 'react-inline'])(
    'ends during a run if the server closes: %s',
    async (way) => {
      const { url, close, mailer } = await serve()
      const stream = frames(url)
      await stream.next()
      await press(url, 'run', { way })
      await expect.poll(() => mailer.inbox!.count).toBeGreaterThanOrEqual(3)
      await close()
      for await (const frame of stream) expect(frame.delay).toBeGreaterThanOrEqual(0)
    },
  )

  test('is absent without worker threads, which the page then does not mention as its own', async () => {
    const { url } = await serve({ threads: 0 })
    const page = await (await fetch(url)).text()
    expect(page).not.toContain('id="demo"')
    expect(page).not.toContain('<span class="lane">worker thread</span>')
    expect(page).toContain('runs without worker threads')
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
