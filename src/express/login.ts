import { Router } from 'express'
import { z } from 'zod'
import { bodyless, jsonBody } from './body.js'
import type { Gate } from './gate.js'
import { html } from './html.js'
import { assetRouter, mark, page, pageHeaders, SHARED } from './page.js'
import { checked } from './query.js'
import { problems } from './problem.js'

const LoginRequest = z.strictObject({ token: z.string().max(4096) })

/**
 * `GET /login` is the page, `POST /login` `{ token }` and `POST /logout` give and take the cookie, `GET /session` tells
 * what one may do.
 * @param up levels of the path by which the login page is above; 0 has it here
 */
export function loginRoutes(gate: Gate, up = 0): Router {
  const router = Router()
  router.get('/session', (request, response) => {
    response.json({ scopes: gate.scopesOf(request), login: gate.closed })
  })
  router.post('/logout', bodyless, (request, response) => {
    gate.logout(request, response)
  })
  if (up > 0 || !gate.closed) {
    router.get('/login', (_request, response) => {
      response
        .status(303)
        .set('Location', up > 0 ? `${'../'.repeat(up)}login` : './')
        .end()
    })
  } else {
    router.use('/assets', pageHeaders, assetRouter(SHARED, ['login.css', 'login.js']))
    router.get('/login', pageHeaders, (_request, response) => {
      response.type('html').send(loginPage())
    })
    router.post('/login', jsonBody(10_000), (request, response) => {
      const { token } = checked(LoginRequest, request.body)
      const scopes = gate.login(token, request, response)
      if (scopes !== undefined) response.json({ scopes })
    })
  }
  router.use(problems)
  return router
}

function loginPage(): string {
  return page({
    title: 'Log in · threadpost',
    root: '',
    styles: ['login.css'],
    scripts: ['login.js'],
    kind: 'login',
    body: html`<main>
      <form class="card" method="post" id="login">
        <h1>${mark}<span>threadpost</span></h1>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus />
        <p class="error" id="error" role="alert" hidden></p>
        <button class="button primary">Log in</button>
        <noscript><p>Logging in needs JavaScript.</p></noscript>
      </form>
    </main>`,
  })
}
