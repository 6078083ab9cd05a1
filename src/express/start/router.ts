import { Router } from 'express'
import { type Mailer, ThreadpostError } from '../../index.js'
import { jsonBody } from '../body.js'
import { assetRouter, pageHeaders } from '../page.js'
import { problems } from '../problem.js'
import { follow } from './follow.js'
import { startPage } from './view.js'

const TAG = 'start-page'

/** The main server's own pages: the sign-up form and what becomes of its mail. */
export function startRouter(mailer: Mailer, url: string): Router {
  const router = Router()
  router.use(pageHeaders)
  router.use('/assets', assetRouter(`${import.meta.dirname}/assets`, ['start.css', 'start.js']))

  router.get('/', (_request, response) => {
    response.type('html').send(startPage({ inbox: mailer.inbox !== undefined }))
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
    await follow(mailer, message, request, response)
  })

  router.use(problems)
  return router
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
