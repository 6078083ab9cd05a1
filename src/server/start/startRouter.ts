import { Router } from 'express'
import { type Mailer, ThreadpostError } from '../../index.js'
import { EventStreams } from '../../web/eventStream.js'
import { jsonBody } from '../../web/middleware.js'
import { assetRouter, refuseImageRequests, pageHeaders } from '../../web/page.js'
import { problemHandler } from '../../web/problem.js'
import { Demo, type DemoEnvironment } from './demo.js'
import { demoRouter } from './demoRouter.js'
import { streamProgress } from './signUpProgress.js'
import { startPage } from './startPage.js'

const TAG = 'start-page'
const ASSETS = ['start.css', 'start.js', 'demo.css', 'demo.js']

export interface StartPage {
  router: Router
  close(): void
}

/**
 * Routes of the start page: the sign-up form, the progress of its mail, and the load test.
 * @param environment enables the load test, which sends to the embedded inbox
 */
export function startRouter(mailer: Mailer, url: string, environment?: DemoEnvironment): StartPage {
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
    response.type('html').send(startPage({ inbox: inbox !== undefined, demo: demo !== undefined }))
  })

  router.post('/signup', jsonBody(10_000), async (request, response) => {
    const start = performance.now()
    const { name, email } = fieldsOf(request.body)
    const { id } = await mailer.send({
      template: 'welcome',
      to: { name, address: email },
      data: { name, url, company: 'Threadpost' },
      tags: [TAG],
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
  return { router, close: () => demo?.close() }
}

function fieldsOf(body: unknown): { name: string; email: string } {
  const fields = typeof body === 'object' && body !== null ? body : {}
  const name = 'name' in fields && typeof fields.name === 'string' ? fields.name.trim() : ''
  const email = 'email' in fields && typeof fields.email === 'string' ? fields.email.trim() : ''
  if (name === '' || name.length > 100) throw invalid('name', 'Enter a name of at most 100 characters.')
  if (email === '') throw invalid('email', 'Enter an email address.')
  return { name, email }
}

function invalid(path: string, message: string): ThreadpostError {
  return new ThreadpostError('INVALID_MESSAGE', message, { path })
}
