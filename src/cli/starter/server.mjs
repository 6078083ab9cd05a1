// @ts-check
// A server that sends a welcome mail to each new user. Without SMTP_URL, mail stays in the inbox at /inbox.
import express from 'express'
import { createMailer, ThreadpostError } from 'threadpost'
import { inboxRouter } from 'threadpost/express'

const mailer = await createMailer({
  transport: process.env.SMTP_URL ?? 'inbox:',
  from: process.env.MAIL_FROM ?? 'Acme <hello@acme.example>',
  templates: `${import.meta.dirname}/templates`,
})
mailer.on('failed', ({ id, outcome }) => console.error(`mail ${id} failed: ${outcome?.message}`))

const PAGE = `<!doctype html>
<html lang="en">
  <meta name="viewport" content="width=device-width" />
  <title>Sign up</title>
  <form method="post" action="/signup">
    <p><label>Name <input name="name" required autocomplete="name" /></label></p>
    <p><label>Address <input name="email" type="email" required autocomplete="email" /></label></p>
    <p><button>Sign up</button></p>
  </form>
</html>`

const app = express()
app.use(express.urlencoded())
if (mailer.inbox !== undefined) app.use('/inbox', inboxRouter(mailer.inbox))

app.get('/', (_request, response) => {
  response.send(PAGE)
})

app.post('/signup', async (request, response) => {
  const { name, email } = request.body ?? {}
  try {
    // Your editor checks the template name and the data against threadpost.d.ts, which `threadpost types` writes.
    const { id } = await mailer.send({
      template: 'welcome',
      to: { name, address: email },
      data: { name, company: 'Acme' },
    })
    if (mailer.inbox !== undefined) response.redirect(303, '/inbox/')
    else response.status(202).type('text').send(`Welcome, ${name}. Your mail is on its way: ${id}`)
  } catch (error) {
    if (!(error instanceof ThreadpostError) || error.code !== 'INVALID_MESSAGE') throw error
    response.status(400).type('text').send(error.message)
  }
})

const server = app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '127.0.0.1', (error) => {
  if (error !== undefined) {
    console.error(`${error.message}; set PORT to use another port`)
    process.exit(1)
  }
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`http://127.0.0.1:${port}`)
})

// Finishes sending before the process exits.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    server.close()
    await mailer.close({ deadline: 10_000 })
  })
