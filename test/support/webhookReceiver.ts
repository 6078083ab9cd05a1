import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { onTestFinished } from 'vitest'

export interface ReceivedEvent {
  id: string
  type: string
  timestamp: string
  data: Record<string, unknown>
  headers: IncomingHttpHeaders
  body: string
}

type Answer = (event: ReceivedEvent, response: ServerResponse) => void

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

/** A receiver of webhooks on a port of its own, which verifies each signature; closed when the test ends. */
export class WebhookReceiver {
  /** Every request, in the order of arrival. */
  readonly requests: ReceivedEvent[] = []
  /** The events that were answered with a status below 300. */
  readonly accepted: ReceivedEvent[] = []
  /** @default accepts each event */
  answer: Answer
  #url = ''

  private constructor(answer: Answer) {
    this.answer = answer
  }

  static async start(answer: Answer = (_event, response) => response.writeHead(204).end()) {
    const receiver = new WebhookReceiver(answer)
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => (body += String(chunk)))
      request.on('end', () => {
        const { headers } = request
        // Throws where the signature is not right.
        const payload = new Webhook(SECRET).verify(body, headers as Record<string, string>) as ReceivedEvent
        const event = { ...payload, id: headers['webhook-id'] as string, headers, body }
        receiver.requests.push(event)
        response.once('finish', () => {
          if (response.statusCode < 300) receiver.accepted.push(event)
        })
        receiver.answer(event, response)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    })
    receiver.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
    return receiver
  }

  get url(): string {
    return this.#url
  }

  /** The types of the accepted events of a message, in their order. */
  typesOf(id: string): string[] {
    return this.accepted.filter(({ data }) => data['id'] === id).map(({ type }) => type)
  }
}
