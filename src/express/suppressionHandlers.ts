import type { RequestHandler } from 'express'
import { type Mailer, type SuppressionInput, type SuppressionQuery, ThreadpostError } from '../index.js'
import { checked } from '../web/requestSchema.js'
import { ListSuppressions, RemoveSuppression } from './schemas/suppressionSchema.js'

/** Handlers for the list of addresses that get no more mail. */
export function suppressionHandlers({ suppressions }: Mailer) {
  return {
    listSuppressions: async (request, response) => {
      response.json(await suppressions.list(checked(ListSuppressions, request.query) as SuppressionQuery))
    },

    addSuppression: async (request, response) => {
      response.status(201).json(await suppressions.add(request.body as SuppressionInput))
    },

    removeSuppression: async (request, response) => {
      const { address, ...which } = checked(RemoveSuppression, request.query)
      if (!(await suppressions.remove(address, which)))
        throw new ThreadpostError('NOT_FOUND', 'This address is not on the list.')
      response.status(204).end()
    },

    exportSuppressions: async (_request, response) => {
      response.type('text/csv').set('Content-Disposition', 'attachment; filename="suppressions.csv"')
      for await (const line of suppressions.exportCsv())
        if (!response.write(line))
          await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
      response.end()
    },

    importSuppressions: async (request, response) => {
      response.json(await suppressions.importCsv(request.body as string))
    },
  } satisfies Record<string, RequestHandler>
}
