import type { RequestHandler } from 'express'
import { type Mailer, ThreadpostError } from '../index.js'
import { checked } from '../web/requestSchema.js'
import { Redelivery } from './schemas/webhookSchema.js'

/** Handlers for the endpoints that receive the mailer's events. */
export function webhookHandlers({ webhooks }: Mailer) {
  return {
    listWebhooks: async (_request, response) => {
      response.json({ webhooks: (await webhooks?.list()) ?? [] })
    },

    redeliverWebhook: async (request, response) => {
      if (webhooks === undefined) throw new ThreadpostError('NOT_FOUND', 'There is no such webhook.')
      const { event } = checked(Redelivery, request.body ?? {})
      const id = String(request.params['id'])
      response.json({ events: await webhooks.redeliver(id, { event }) })
    },
  } satisfies Record<string, RequestHandler>
}
