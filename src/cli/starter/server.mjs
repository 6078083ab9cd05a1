// @ts-check
// Sends a welcome mail to each new user. Without SMTP_URL, mail stays in the inbox at /inbox. The dashboard is at /mail.
import express from 'express'
import { createMailer, ThreadpostError } from 'threadpost'
import { inboxRouter, mailErrors, mailRouter } from 'threadpost/express'

/** @param {string} content */
const page = (content) => `<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <meta name="viewport" content="width=device-width" />
  <link rel="icon" href="data:," />
  <title>Sign up</title>
  <style>
    body { max-width: 26rem; margin: 12vh auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; color-scheme: light dark; }
    label { display: block; margin: 1rem 0; }
    input, button { box-sizing: border-box; width: 100%; padding: 0.6rem; font: inherit; }
    [role='alert'] { padding: 0.6rem; border: 2px solid #c0262d; border-radius: 0.4rem; }
  </style>
  <h1>Sign up</h1>
  ${content}
</html>`

const FORM = `<form method="post" action="/signup">
    <label>Name <input name="name" required autocomplete="name" /></label>
    <label>Email address <input name="email" type="email" required autocomplete="email" /></label>
    <button>Sign up</button>
  </form>
  <p><a href="/mail/">Dashboard</a></p>`

async function main() {
  const mailer = await createMailer({
    transport: process.env.SMTP_URL ?? 'inbox:',
    from: process.env.MAIL_FROM ?? 'Acme <hello@acme.example>',
    templates: './templates',
    // queue: 'sqlite:./outbox.db', // mail then survives a restart
  })
  mailer.on('failed', ({ id, outcome }) => console.error(`mail ${id} failed: ${outcome?.message}`))

  const app = express()
  // The dashboard and the inbox show all mail. Without a token, they answer requests from this machine only.
  const token = process.env.MAIL_TOKEN
  app.use(
    '/mail',
    mailRouter(mailer, {
      auth: token === undefined ? false : { tokens: [{ token, scopes: ['send', 'read', 'manage'] }] },
      // The pages link to each other.
      home: '../',
      ...(mailer.inbox && { inbox: '../inbox/' }),
    }),
  )
  if (mailer.inbox !== undefined)
    app.use('/inbox', inboxRouter(mailer.inbox, { home: '../', dashboard: '../mail/' }))

  app.get('/', (_request, response) => {
    response.send(page(FORM))
  })

  app.post('/signup', express.urlencoded({ extended: false }), async (request, response, next) => {
    const { name, email } = request.body ?? {}
    try {
      // Your editor checks the template name and the data against threadpost.d.ts, which `threadpost types` writes.
      const { id } = await mailer.send({
        template: 'welcome',
        to: { name, address: email },
        data: { name, company: 'Acme' },
      })
      if (mailer.inbox !== undefined) response.redirect(303, '/inbox/')
      else response.status(202).send(page(`<p>Welcome! Your mail is on its way: ${id}</p>`))
    } catch (error) {
      if (
        !(error instanceof ThreadpostError) ||
        (error.code !== 'INVALID_MESSAGE' && error.code !== 'MISSING_DATA')
      )
        return next(error)
      response
        .status(400)
        .send(page(`<p role="alert">Please enter your name and a valid email address.</p>${FORM}`))
    }
  })

  // Routes with a JSON body can leave errors of send() to mailErrors(), which answers them with RFC 9457 problems.
  app.use(mailErrors())
  /** @type {import('express').ErrorRequestHandler} */
  const lastResort = (error, _request, response, next) => {
    console.error(error)
    if (response.headersSent) return next(error)
    const apology = '<p role="alert">Something went wrong on our side. Please try again.</p>'
    return void response.status(500).send(page(apology))
  }
  app.use(lastResort)

  const server = app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '127.0.0.1')
  server.on('listening', () => {
    const address = server.address()
    console.log(`http://127.0.0.1:${typeof address === 'object' ? address?.port : address}`)
  })
  server.on('error', (error) => {
    console.error(`${error.message}; set PORT to use another port`)
    process.exit(1)
  })

  // Finishes sending before the process exits.
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, async () => {
      server.close()
      server.closeAllConnections()
      await mailer.close({ deadline: 10_000 })
    })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
