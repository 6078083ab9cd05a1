import { Router } from 'express'
import { type Mailer, ThreadpostError } from '../../index.js'
import { EventStreams } from '../../web/eventStream.js'
import { jsonBody } from '../../web/middleware.js'
import { assetRouter, refuseImageRequests, pageHeaders } from '../../web/page.js'
import { problemHandler } from '../../web/problem.js'
import { Demo, type Stage } from './demo.js'
import { demoRouter } from './demoRouter.js'
import { follow } from './signUpProgress.js'
import { startPage } from './startPage.js'

const TAG = 'start-page'
const ASSETS = ['start.css', 'start.js', 'demo.css', 'demo.js']

export interface StartPage {
  router: Router
  close(): void
}

/**
 * The main server's own pages: the sign-up form and what becomes of its mail.
 * @param stage where the page may show what happens under load; it then sends by itself, to the embedded inbox
 */
export function startRouter(mailer: Mailer, url: string, stage?: Stage): StartPage {
  const router = Router()
  const streams = new EventStreams()
  const { inbox } = mailer
  const demo =
    stage === undefined || inbox === undefined || !mailer.templates.includes('receipt')
      ? undefined
      : new Demo(mailer, inbox, stage)
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
    // Only what was sent from here: other messages are nobody's business without a token.
    if (message?.tags.includes(TAG) !== true)
      throw new ThreadpostError('NOT_FOUND', 'There is no such sign-up.')
    const stream = streams.open(response)
    if (stream !== undefined) await follow(mailer, message, stream)
  })

  router.use(problemHandler)
  return { router, close: () => demo?.close() }
}

function fieldsOf(body: unknown): { name: string; email: string } {
  const fields = typeof body === 'object' && body !== null ? body : {}
  const name = 'name' in fields && typeof fields.name === 'string' ? fields.name.trim() : ''
  const email = 'email' in fields && typeof fields.email === 'string' ? fields.email.trim() : ''
  if (name === '' || name.length > 100)
    throw invalid('name', 'Please tell us your name, in at most 100 characters.')
  if (email === '') throw invalid('email', 'Please tell us your email address.')
  return { name, email }
}

function invalid(path: string, message: string): ThreadpostError {
  return new ThreadpostError('INVALID_MESSAGE', message, { path })
}
