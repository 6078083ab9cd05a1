import { Router } from 'express'
import type { FigureGroup, Mailer, PauseOptions, TransportLimits } from '../index.js'
import { jsonBody } from '../web/middleware.js'
import type { DashboardOptions } from './dashboardRouter.js'
import type { AuditLogView, GroupsView, WebhooksView } from './viewModels.js'

const MAX_BODY = 1_000
const FIGURE_GROUPS = ['template', 'transport', 'domain'] as const satisfies readonly FigureGroup[]

/** The routes for what an operator does: pause and resume, change and test transports; and the audit log of that. */
export function operatorRoutes(mailer: Mailer, { allow, who }: DashboardOptions): Router {
  const router = Router()

  for (const action of ['pause', 'resume'] as const)
    router.post(`/${action}`, allow('manage'), jsonBody(MAX_BODY), async (request, response) => {
      const { transport } = request.body as { transport?: unknown }
      const by = who(request)
      const options: PauseOptions = {
        ...(transport === undefined ? {} : { transport: transport as string }),
        ...(by === undefined ? {} : { by }),
      }
      await mailer[action](options)
      response.status(204).end()
    })

  router.post('/verify', allow('manage'), jsonBody(MAX_BODY), async (request, response) => {
    const { transport } = request.body as { transport?: unknown }
    response.json(await mailer.verify(typeof transport === 'string' ? transport : undefined))
  })

  router.post('/transports/:name', allow('manage'), jsonBody(MAX_BODY), async (request, response) => {
    const by = who(request)
    const limits = request.body as TransportLimits
    await mailer.changeTransport(String(request.params['name']), limits, by === undefined ? {} : { by })
    response.status(204).end()
  })

  router.get('/figures/:by', allow('read'), async (request, response, next) => {
    const by = FIGURE_GROUPS.find((group) => group === request.params['by'])
    if (by === undefined) {
      next()
      return
    }
    response.json({ groups: await mailer.monitoring.figures(by) } satisfies GroupsView)
  })

  router.get('/webhooks', allow('read'), async (_request, response) => {
    response.json({ webhooks: (await mailer.webhooks?.list()) ?? [] } satisfies WebhooksView)
  })

  router.post(
    '/webhooks/:id/redeliver',
    allow('manage'),
    jsonBody(MAX_BODY),
    async (request, response, next) => {
      const { event } = request.body as { event?: unknown }
      const chosen = typeof event === 'string' ? { event } : {}
      const events = await mailer.webhooks?.redeliver(String(request.params['id']), chosen)
      if (events === undefined) next()
      else response.json({ events })
    },
  )

  router.get('/audit', allow('read'), async (_request, response) => {
    response.json({ entries: await mailer.monitoring.auditLog() } satisfies AuditLogView)
  })

  return router
}
