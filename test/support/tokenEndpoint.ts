import { createServer } from 'node:http'
import { listenOnLoopback, startSmtpServer } from './loopback.js'

/** An OAuth 2.0 token endpoint. It issues `token-1`, `token-2`, and so on. */
export interface TokenEndpoint {
  url: string
  /** The forms it received. */
  requests: Record<string, string>[]
  /** The status of its responses, with the fields of an error unless it is 200. */
  status: number
  /** Seconds. */
  lifetime: number
}

export async function startTokenEndpoint(): Promise<TokenEndpoint> {
  const endpoint: TokenEndpoint = { url: '', requests: [], status: 200, lifetime: 3_600 }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      const form = Object.fromEntries(new URLSearchParams(body))
      endpoint.requests.push(form)
      const granted = {
        token_type: 'Bearer',
        access_token: `token-${endpoint.requests.length}`,
        expires_in: endpoint.lifetime,
      }
      const refused = { error: 'invalid_client', error_description: `${form['client_secret']} is wrong` }
      response.writeHead(endpoint.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(endpoint.status === 200 ? granted : refused))
    })
  })
  endpoint.url = `http://127.0.0.1:${await listenOnLoopback(server)}/token`
  return endpoint
}

/** An SMTP server that accepts the access tokens for which `accepts` is true. */
export async function startTokenServer(
  accepts: (token: string) => boolean,
): Promise<{ port: number; presented: string[] }> {
  const presented: string[] = []
  const port = await startSmtpServer({
    authMethods: ['XOAUTH2'],
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    onAuth({ username = '', accessToken = '' }, _session, callback) {
      presented.push(`${username} ${accessToken}`)
      if (accepts(accessToken)) callback(null, { user: username })
      else callback(null, { data: { status: '401', schemes: 'bearer' } })
    },
    onData(stream, _session, callback) {
      stream.resume()
      stream.on('end', callback)
    },
  })
  return { port, presented }
}
