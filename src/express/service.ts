import type { RequestHandler } from 'express'
import type { Registry } from 'prom-client'
import type { Mailer } from '../mailer.js'
import { checked } from '../web/schema.js'
import { metricsRegistry } from './metricsRegistry.js'
import { RenderRequest } from './schemas/service.js'

/** The templates, how the mailer fares, and what there is to ask. */
export function serviceHandlers(mailer: Mailer) {
  let metrics: Promise<Registry> | undefined

  return {
    listTemplates: async (_request, response) => {
      response.json({ templates: await mailer.describeTemplates() })
    },

    renderTemplate: async (request, response) => {
      const { data = {}, locale } = checked(RenderRequest, request.body)
      const name = String(request.params['name'])
      response.json(await mailer.render(name, data, locale === undefined ? {} : { locale }))
    },

    readStats: async (_request, response) => {
      response.json(await mailer.stats())
    },

    readMetrics: async (_request, response) => {
      const registry = await (metrics ??= metricsRegistry(mailer))
      response.set('Content-Type', registry.contentType).send(await registry.metrics())
    },

    // Most processes never need it: made when it is first asked for.
    readDocument: async (_request, response) => {
      const { openApiDocument } = await import('./openapi.js')
      response.json(openApiDocument())
    },

    isAlive: (_request, response) => {
      response.json({ status: 'ok' })
    },

    isReady: async (_request, response) => {
      await mailer.stats()
      response.json({ status: 'ready' })
    },
  } satisfies Record<string, RequestHandler>
}
