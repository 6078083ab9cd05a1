import { html, type Html, logo, page } from '../../web/page.js'
import { Demo } from './demo.js'
import { demoSection } from './demoView.js'

/** The steps a message takes, in their order: where, what, and the timing that belongs to it. */
const STEPS = [
  {
    id: 'accepted',
    lane: 'web',
    title: 'Accepted',
    note: 'The mail is checked and queued. The request is answered.',
  },
  { id: 'rendered', lane: 'thread', title: 'Rendered', note: 'The MJML template becomes HTML and text.' },
  { id: 'composed', lane: 'thread', title: 'Composed', note: 'Parts become the bytes of one MIME message.' },
  {
    id: 'delivered',
    lane: 'thread',
    title: 'SMTP session',
    note: 'The bytes go to the mail server, which answers.',
  },
  { id: 'settled', lane: 'web', title: 'Known', note: 'Your code learns what became of it.' },
] as const

const EXAMPLE = `import { createMailer } from 'threadpost'

const mailer = await createMailer({
  transport: 'smtp://user:pass@smtp.example.com:587',
  from: 'Acme <hello@acme.example>',
  templates: './templates',
})

app.post('/signup', async (req, res) => {
  const { name, email } = req.body
  const { id } = await mailer.send({ template: 'welcome', to: email, data: { name } })
  res.status(202).json({ id })
})`

export function startPage({ inbox, demo }: { inbox: boolean; demo: boolean }): string {
  return page({
    title: 'threadpost',
    root: '',
    styles: ['start.css', ...(demo ? ['demo.css'] : [])],
    scripts: ['start.js', ...(demo ? ['demo.js'] : [])],
    kind: 'start',
    body: html`
      <header class="top">
        <a class="brand" href="./">${logo}<span>threadpost</span></a>
        <nav>
          <a class="button" href="mail/">Dashboard</a>
          ${inbox && html`<a class="button" href="inbox/">Inbox</a>`}
        </nav>
      </header>
      <main>
        <section class="pitch">
          <h1>Mail without the wait.</h1>
          <p>
            Your web process accepts a message and goes on. Worker threads render the template, build the
            message and speak SMTP, and tell you exactly what became of it.
          </p>
        </section>
        <section class="try" aria-label="Try it">
          <form class="card" id="signup" novalidate>
            <h2>See one go out</h2>
            <p class="dim">
              Sign up as anybody.
              ${
                inbox
                  ? 'The welcome mail goes to the inbox of this server, nowhere else.'
                  : 'The welcome mail really goes to this address.'
              }
            </p>
            <label for="name">Name</label>
            <input
              id="name"
              name="name"
              autocomplete="name"
              maxlength="100"
              value="${inbox ? 'Ada Lovelace' : ''}"
            />
            <label for="email">Email</label>
            <input
              id="email"
              name="email"
              type="email"
              autocomplete="email"
              value="${inbox ? 'ada@example.com' : ''}"
            />
            <p class="error" id="error" role="alert" hidden></p>
            <button class="button primary" type="submit">Sign up</button>
            ${
              demo &&
              html`<p class="pulse">Event loop delay of this process, now: <strong id="pulse">–</strong></p>`
            }
          </form>
          <div class="card journey" id="journey" data-state="idle">
            <div class="verdict">
              <h2 id="verdict" role="status">The way of a message</h2>
              <p class="total" id="total"></p>
              <a class="button" id="open" hidden>Read it in the inbox</a>
            </div>
            <ol>
              ${STEPS.map(step)}
            </ol>
            <p class="outcome" id="outcome" hidden></p>
          </div>
        </section>
        ${demo && demoSection(Demo.messages)}
        <section class="reasons">
          <div>
            <h3>The web process stays free</h3>
            <p>
              Compiling MJML inline blocks every other request while it runs. Here it happens in a thread of
              its own.
            </p>
          </div>
          <div>
            <h3>Outcomes, not hopes</h3>
            <p>
              Sent, refused, to be tried again, or uncertain: for each recipient, with the server’s own reply.
            </p>
          </div>
          <div>
            <h3>Threads may die</h3>
            <p>
              What a dead thread had not handed over is sent again at once. A message that kills threads is
              found out.
            </p>
          </div>
        </section>
        <section class="embed">
          <h2>In your app</h2>
          <pre tabindex="0"><code>${EXAMPLE}</code></pre>
        </section>
      </main>
    `,
  })
}

function step({ id, lane, title, note }: (typeof STEPS)[number]): Html {
  return html`<li class="step ${lane}" id="step-${id}" data-state="waiting">
    <p>
      <strong>${title}</strong> <span class="lane">${lane === 'web' ? 'web process' : 'worker thread'}</span>
    </p>
    <span class="note">${note}</span>
    <span class="took"></span>
  </li>`
}
