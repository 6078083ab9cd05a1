import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ThreadpostError } from '../src/errors.js'
import { resolveOptions } from '../src/options.js'

const smtp = 'smtp://mail.example.com'

function refusal(options: unknown): ThreadpostError {
  try {
    resolveOptions(options)
  } catch (error) {
    if (error instanceof ThreadpostError) return error
    throw error
  }
  throw new Error('they were accepted')
}

describe('the options of a mailer', () => {
  it('have defaults', () => {
    expect(resolveOptions({ transport: smtp })).toMatchObject({
      threads: 1,
      concurrency: 10,
      maxAge: 259_200_000,
      onUncertain: 'retry',
      retry: { attempts: 10, baseDelay: 5_000, factor: 4, maxDelay: 21_600_000, jitter: 'full' },
      limits: { queue: 100_000, recipients: 50, message: 26_214_400, render: 10_000, attempt: 120_000 },
      transports: [
        {
          name: 'default',
          config: { host: 'mail.example.com', port: 587, secure: false, requireTLS: true },
        },
      ],
    })
  })

  it.each([
    [{ transport: 'inbox:' }, 'transport'],
    [{ transports: { main: smtp, test: { url: 'inbox:' } } }, 'transports.test'],
  ])('refuse an inbox in production, where mail would reach nobody: %j', (options, path) => {
    vi.stubEnv('NODE_ENV', 'production')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(refusal(options)).toMatchObject({ code: 'INVALID_OPTIONS', path })
    expect(resolveOptions({ ...options, allowInboxInProduction: true }).transports).not.toEqual([])
    expect(resolveOptions({ transport: smtp }).transports).toHaveLength(1)
    vi.stubEnv('NODE_ENV', 'staging')
    expect(resolveOptions(options).transports).not.toEqual([])
  })

  it('include decoded credentials from the URL', () => {
    const [transport] = resolveOptions({ transport: 'smtps://us%40er:p%3A%2F@mail.example.com' }).transports
    expect(transport?.config).toMatchObject({ port: 465, secure: true, auth: { user: 'us@er', pass: 'p:/' } })
  })

  it.each(['smtp://127.0.0.1:25', 'smtp://localhost:25', 'smtp://[::1]:25', 'smtp://127.9.9.9'])(
    'require no TLS on loopback: %s',
    (url) => {
      expect(resolveOptions({ transport: url }).transports).toMatchObject([{ config: { requireTLS: false } }])
    },
  )

  it.each(['smtp://localhost.evil.example', 'smtp://128.0.0.1', 'smtp://127.0.0.1.evil.example'])(
    'require TLS for hosts that only look like loopback: %s',
    (url) => {
      expect(resolveOptions({ transport: url }).transports).toMatchObject([{ config: { requireTLS: true } }])
    },
  )

  it.each([
    [{}, 'transport'],
    [{ transport: 5 }, 'transport'],
    [{ transport: 'mail.example.com' }, 'transport'],
    [{ transport: 'http://example.com' }, 'transport'],
    [{ transport: 'smtp://' }, 'transport'],
    [{ transport: `${smtp}/?pool=true` }, 'transport'],
    [{ transport: { url: smtp, pool: true } }, 'transport.pool'],
    [{ transport: smtp, transports: {} }, 'transports'],
    [{ transports: {} }, 'transports'],
    [{ transports: { 'a b': smtp } }, 'transports.a b'],
    [{ transport: { url: smtp, timeouts: { connect: Infinity } } }, 'transport.timeouts.connect'],
    [{ transport: { url: smtp, timeouts: { body: 3_000_000_000 } } }, 'transport.timeouts.body'],
    [
      { transport: smtp, breaker: { probeDelay: Infinity, maxProbeDelay: Infinity } },
      'breaker.maxProbeDelay',
    ],
    [{ transport: smtp, breaker: { probeDelay: 120_000 } }, 'breaker.probeDelay'],
    [{ transport: smtp, threads: -1 }, 'threads'],
    [{ transport: smtp, threads: 1.5 }, 'threads'],
    [{ transport: smtp, concurrency: 0 }, 'concurrency'],
    [{ transport: smtp, retry: { attempts: 0 } }, 'retry.attempts'],
    [{ transport: smtp, limits: { render: '1' } }, 'limits.render'],
    [{ transport: smtp, limits: { threadMemory: 1 } }, 'limits.threadMemory'],
    [{ transport: smtp, onUncertain: 'maybe' }, 'onUncertain'],
    [{ transport: { url: smtp, auth: { user: 'a\u0001b', pass: 'x' } } }, 'transport.auth.user'],
    [{ transport: smtp, logger: {} }, 'logger.info'],
    [{ transport: smtp, logger: { info() {}, warn: 'no' } }, 'logger.warn'],
    [{ transport: smtp, from: 'a@b.example, c@d.example' }, 'from'],
    [{ transport: smtp, queue: 'kafka' }, 'queue'],
    [{ transport: smtp, templates: { dir: './t', glob: 1 } }, 'templates.glob'],
  ])('are refused if invalid: %j', (options, path) => {
    expect(refusal(options)).toMatchObject({ code: 'INVALID_OPTIONS', path })
  })

  it('allow a connection to be kept open forever', () => {
    const transport = { url: smtp, timeouts: { idle: Infinity } }
    expect(resolveOptions({ transport }).transports[0]?.config).toMatchObject({
      timeouts: { idle: Infinity },
    })
  })

  it('suggest the right key for a misspelled one', () => {
    expect(refusal({ transport: smtp, treads: 2 }).message).toContain('did you mean "threads"?')
    expect(refusal({ transport: smtp, limits: { recipents: 2 } }).message).toContain(
      'did you mean "recipients"?',
    )
  })

  it('never appear with a password in an error', () => {
    for (const url of [
      'smtp://user:hunter2@',
      'smtp://user:hunter2%@h',
      'smtp://user:hunter2@h/x',
      'xmtp://user:hunter2@h',
    ])
      expect(refusal({ transport: url }).message).not.toContain('hunter2')
  })
})
