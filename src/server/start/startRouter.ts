import { Router } from 'express'
import { type Mailer, ThreadpostError } from '../../index.js'
import { EventStreams } from '../../web/eventStream.js'
import { jsonBody } from '../../web/middleware.js'
import { assetRouter, refuseImageRequests, pageHeaders } from '../../web/page.js'
import { problemHandler } from '../../web/problem.js'
import { Demo } from './demo.js'
import type { DemoEnvironment } from './demoEnvironment.js'
import { demoRouter } from './demoRouter.js'
import { streamProgress } from './signUpProgress.js'
import { startPage } from './startPage.js'

const TAG = 'start-page'
const ASSETS = ['start.css', 'start.js', 'demo.css', 'demo.js']

export interface StartPage {
  router: Router
  close(): Promise<void>
}

/**
 * Routes of the start page: the sign-up form, the progress of its mail, and the load test.
 * @param options `environment` enables the load test, which sends to the embedded inbox
 */
export function startRouter(
  mailer: Mailer,
  { url, threaded, environment }: { url: string; threaded: boolean; environment?: DemoEnvironment },
): StartPage {
  const router = Router()
  const streams = new EventStreams()
  const { inbox } = mailer
  const demo =
    environment === undefined || inbox === undefined || !mailer.templates.includes('receipt')
      ? undefined
      : new Demo(mailer, inbox, environment)
  router.use(pageHeaders, refuseImageRequests)
  router.use('/assets', assetRouter(`${import.meta.dirname}/assets`, ASSETS))
  if (demo !== undefined) router.use('/demo', demoRouter(demo))

  router.get('/', (_request, response) => {
    response.type('html').send(startPage({ inbox: inbox !== undefined, demo, threaded }))
  })

  router.post('/signup', jsonBody(10_000), async (request, response) => {
    const start = performance.now()
    const { name, email } = fieldsOf(request.body)
    const { id } = await mailer
      .send({
        template: 'welcome',
        to: { name, address: email },
        data: { name, url, company: 'Threadpost' },
        tags: [TAG],
      })
      .catch((error: unknown) => {
        throw forVisitor(error)
      })
    response.status(202).json({ id, took: performance.now() - start })
  })

  router.get('/signup/:id/events', async (request, response) => {
    const message = await mailer.find(request.params.id)
    // Shows only messages of this form: access to other messages requires a token.
    if (message?.tags.includes(TAG) !== true)
      throw new ThreadpostError('NOT_FOUND', 'This sign-up does not exist.')
    const stream = streams.open(response)
    if (stream !== undefined) await streamProgress(mailer, message, stream)
  })

  router.use(problemHandler)
  return { router, close: async () => demo?.close() }
}

function fieldsOf(body: unknown): { name: string; email: string } {
  const fields = typeof body === 'object' && body !== null ? body : {}
  const name = 'name' in fields && typeof fields.name === 'string' ? fields.name.trim() : ''
  const email = 'email' in fields && typeof fields.email === 'string' ? fields.email.trim() : ''
  if (name === '') throw invalid('name', 'Please enter your name.')
  if (name.length > 100) throw invalid('name', 'Please enter a name of at most 100 characters.')
  if (email === '') throw invalid('email', 'Please enter your email address.')
  return { name, email }
}

/** Explains to the visitor of the form why the mail was not accepted. The mailer's own message is for the developer. */
function forVisitor(error: unknown): unknown {
  if (!(error instanceof ThreadpostError)) return error
  const { code, path = '' } = error
  switch (code) {
    case 'INVALID_MESSAGE':
      return path === 'to.name'
        ? invalid('name', 'Please enter a name without line breaks and other control characters.')
        : invalid('email', 'Please enter a valid email address, such as ada@example.com.')
    case 'QUEUE_FULL':
    case 'QUEUE_UNAVAILABLE':
      return new ThreadpostError(
        code,
        'We can’t accept your sign-up right now. Please try again in a minute.',
      )
    case 'CLOSED':
      return new ThreadpostError(code, 'The server is shutting down. Please try again in a minute.')
    default:
      process.emitWarning(`The welcome mail was refused: ${error.message}`, 'ThreadpostWarning')
      return new ThreadpostError(code, 'We can’t send the welcome mail. The server’s log says why.')
  }
}

function invalid(path: string, message: string): ThreadpostError {
  return new ThreadpostError('INVALID_MESSAGE', message, { path })
}
