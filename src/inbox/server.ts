import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import { loopbackOnly } from '../web/hosts.js'
import { listen } from '../web/listen.js'
import type { Inbox } from './inbox.js'
import { inboxRouter } from './router.js'

export interface InboxServerOptions {
  /** 0 takes any free port. */
  port: number
  host: string
  /** Answer to every host name. Only where everybody who gets here may read all mail. */
  anyHost: boolean
}

/** The pages and the API of an inbox by themselves, at the root of a server of their own. */
export async function startInboxServer(
  inbox: Inbox,
  { port, host, anyHost }: InboxServerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const app = express()
  app.disable('x-powered-by')
  if (!anyHost) app.use(loopbackOnly)
  app.use(inboxRouter(inbox))
  const server = createServer(app)
  const url = await listen(server, port, host)
  return {
    url,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      // Those who follow the news never leave by themselves.
      server.closeAllConnections()
      await closed
    },
  }
}
