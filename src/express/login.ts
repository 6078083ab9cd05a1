import { type RequestHandler, Router } from 'express'
import { assetRouter, html, logo, page, pageHeaders, textField } from '../web/page.js'
import { checked } from '../web/requestSchema.js'
import type { Authenticator } from './authenticator.js'
import { LoginRequest } from './schemas/serviceSchema.js'

/**
 * Handlers that start and end a session.
 * @param up number of path levels up to the router that has the login; the cookie belongs to its path, so requests are redirected there
 */
export function sessionHandlers(authenticator: Authenticator, up = 0) {
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
    const scopes = authenticator.login(token, request, response)
    if (scopes !== undefined) response.json({ scopes })
  }
  const logout: RequestHandler = (request, response) => {
    authenticator.logout(request, response)
  }

  return {
    readSession: (request, response) => {
      const scopes = authenticator.tellScopes(request, response)
      if (scopes !== undefined) response.json({ scopes, login: authenticator.requiresToken })
    },
    login: up > 0 ? above('login') : login,
    logout: up > 0 ? above('logout') : logout,
  } satisfies Record<string, RequestHandler>
}

/**
 * The login page with its assets.
 * @param up number of path levels up to another router's login page, to which this one redirects; 0 if this router has the page
 */
export function loginPages(authenticator: Authenticator, up = 0): Router {
  const router = Router()
  router.get('/login', pageHeaders, (_request, response) => {
    if (up === 0 && authenticator.requiresToken) response.type('html').send(loginPage())
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
        <h1>${logo}<span>threadpost</span></h1>
        ${textField('token', 'Token', {
          name: 'token',
          type: 'password',
          autocomplete: 'current-password',
          required: true,
          autofocus: true,
        })}
        <p class="error" id="error" role="alert" hidden></p>
        <button class="button primary">Log in</button>
        <noscript><p>Logging in requires JavaScript.</p></noscript>
      </form>
    </main>`,
  })
}
