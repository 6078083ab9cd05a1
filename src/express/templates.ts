import { Router } from 'express'
import { z } from 'zod'
import type { Mailer } from '../mailer.js'
import { jsonBody } from './body.js'
import type { Allow } from './gate.js'
import { checked } from './query.js'

/** What a render is asked for with. */
const RenderRequest = z.strictObject({
  data: z.record(z.string(), z.unknown()).optional().describe('What the template binds.'),
  locale: z.string().max(64).optional().describe('A language tag such as `fr-CA`.'),
})

/** The templates, and what they give. */
export function templateRoutes(mailer: Mailer, allow: Allow, bodyLimit: number): Router {
  const router = Router()

  router.get('/templates', allow('read'), async (_request, response) => {
    response.json({ templates: await mailer.describeTemplates() })
  })

  router.post('/templates/:name/render', allow('read'), jsonBody(bodyLimit), async (request, response) => {
    const { data = {}, locale } = checked(RenderRequest, request.body)
    const name = String(request.params['name'])
    response.json(await mailer.render(name, data, locale === undefined ? {} : { locale }))
  })

  return router
}
