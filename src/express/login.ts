import { type RequestHandler, Router } from 'express'
import { html } from '../web/html.js'
import { assetRouter, mark, page, pageHeaders } from '../web/page.js'
import { checked } from '../web/requestSchema.js'
import type { Authenticator } from './authenticator.js'
import { LoginRequest } from './schemas/serviceSchema.js'

/**
 * Getting and giving back the cookie of a session.
 * @param up levels of the path by which another router has the login: the cookie belongs to its path, so it is asked there
 */
export function sessionHandlers(gate: Authenticator, up = 0) {
  const above =
    (name: 'login' | 'logout'): RequestHandler =>
    (_request, response) => {
      response
        .status(307)
        .set('Location', '../'.repeat(up) + name)
        .end()
    }
  const login: RequestHandler = (request, response) => {
    const { token } = checked(LoginRequest, request.body)
    const scopes = gate.login(token, request, response)
    if (scopes !== undefined) response.json({ scopes })
  }
  const logout: RequestHandler = (request, response) => {
    gate.logout(request, response)
  }

  return {
    readSession: (request, response) => {
      response.json({ scopes: gate.scopesOf(request), login: gate.closed })
    },
    login: up > 0 ? above('login') : login,
    logout: up > 0 ? above('logout') : logout,
  } satisfies Record<string, RequestHandler>
}

/**
 * The login page with its assets.
 * @param up levels of the path by which another router's login page is above, to which this one leads; 0 has it here
 */
export function loginPages(gate: Authenticator, up = 0): Router {
  const router = Router()
  router.get('/login', pageHeaders, (_request, response) => {
    if (up === 0 && gate.closed) response.type('html').send(loginPage())
    else
      response
        .status(303)
        .set('Location', up > 0 ? `${'../'.repeat(up)}login` : './')
        .end()
  })
  router.use('/assets', pageHeaders, assetRouter(`${import.meta.dirname}/assets`, ['login.css', 'login.js']))
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
        <noscript><p>Logging in requires JavaScript.</p></noscript>
      </form>
    </main>`,
  })
}
