import { type ComponentChildren, render } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { AuditPage, GroupPage, GroupsPage } from './groupPages.js'
import { connect, useLive } from './liveState.js'
import { Message } from './messagePage.js'
import { Messages } from './messagesPage.js'
import { useRoute } from './navigation.js'
import { Overview } from './overviewPage.js'
import { Previews } from './previewsPage.js'
import { hasWebhooks, root, siteLink } from './request.js'
import { Schedules } from './schedulesPage.js'
import { useSession } from './scopes.js'
import { Suppressions } from './suppressionsPage.js'
import { WebhooksPage } from './webhooksPage.js'

const TITLES = {
  overview: 'Overview',
  messages: 'Messages',
  message: 'Message',
  templates: 'Templates',
  transports: 'Transports',
  schedules: 'Schedules',
  suppressions: 'Suppressions',
  webhooks: 'Webhooks',
  audit: 'Audit log',
  previews: 'Previews',
}

type Place = keyof typeof TITLES

/** The frame of every page: the navigation and the notices. */
function Shell({ place, children }: { place: Place; children: ComponentChildren }) {
  useEffect(() => {
    document.title = `${TITLES[place]} · threadpost`
  }, [place])
  const [home, inbox] = [siteLink('home'), siteLink('inbox')]
  const link = (to: string, name: string, current: boolean) => (
    <a href={new URL(to, root).href} aria-current={current ? 'page' : undefined}>
      {name}
    </a>
  )
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <header class="bar">
        <a class="brand" href={root.href}>
          <Mark />
          <span>threadpost</span>
        </a>
        <nav class="places" aria-label="Pages">
          {link('#/', 'Overview', place === 'overview')}
          {link('#/messages', 'Messages', place === 'messages' || place === 'message')}
          {link('#/templates', 'Templates', place === 'templates')}
          {link('#/transports', 'Transports', place === 'transports')}
          {link('#/schedules', 'Schedules', place === 'schedules')}
          {link('#/suppressions', 'Suppressions', place === 'suppressions')}
          {hasWebhooks() && link('#/webhooks', 'Webhooks', place === 'webhooks')}
          {link('#/audit', 'Audit log', place === 'audit')}
          {link('preview', 'Previews', place === 'previews')}
          {inbox !== '' && link(inbox, 'Inbox', false)}
          {home !== '' && link(home, 'Start page', false)}
        </nav>
        <Logout />
      </header>
      <Notices />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  )
}

function skip(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

/** Notices for every page. A screen reader announces each one once, not on every tick. */
function Notices() {
  const { connected, problem, tick } = useLive()
  const notices: [kind: string, text: string][] = []
  if (!connected)
    notices.push(['warn', 'Can’t reach the server. The data shown may be out of date. Retrying…'])
  if (problem !== undefined) notices.push(['bad', `The queue is not responding: ${problem}`])
  if (tick?.activity.queue.paused === true)
    notices.push([
      'warn',
      'The queue is paused. New mail is accepted, but it is not sent until you resume sending.',
    ])
  if (tick?.activity.processes.some(({ gone, safeMode }) => safeMode && !gone) === true)
    notices.push([
      'bad',
      'Safe mode is on. Only allowed recipients receive mail; all other mail is redirected.',
    ])
  return (
    <div class="notices" role="status">
      {notices.map(([kind, text]) => (
        <p class={`notice ${kind}`} key={text}>
          {text}
        </p>
      ))}
    </div>
  )
}

function Logout() {
  if (useSession()?.login !== true) return null
  const logout = () =>
    void fetch(new URL('logout', root), { method: 'POST' }).then(() =>
      location.assign(new URL('login', root)),
    )
  return (
    <button class="button quiet" type="button" onClick={logout}>
      Log out
    </button>
  )
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true">
      <rect class="mark-ground" width="28" height="28" rx="8" />
      <rect class="mark-line" x="7" y="8" width="14" height="4" rx="2" />
      <rect class="mark-line" x="7" y="16" width="8" height="4" rx="2" />
    </svg>
  )
}

function Dashboard() {
  const { path, query } = useRoute()
  const [place = '', id] = path
  usePageChange(path.join('/'))
  if (place === '') return <Shell place="overview">{<Overview />}</Shell>
  if (place === 'messages' && id !== undefined)
    return (
      <Shell place="message">
        <Message id={id} key={id} />
      </Shell>
    )
  if (place === 'messages')
    return (
      <Shell place="messages">
        <Messages query={query} />
      </Shell>
    )
  if (place === 'templates' || place === 'transports') {
    const kind = place === 'templates' ? 'template' : 'transport'
    return (
      <Shell place={place}>
        {id === undefined ? (
          <GroupsPage kind={kind} key={kind} />
        ) : (
          <GroupPage kind={kind} name={id} key={id} />
        )}
      </Shell>
    )
  }
  if (place === 'schedules')
    return (
      <Shell place="schedules">
        <Schedules />
      </Shell>
    )
  if (place === 'suppressions')
    return (
      <Shell place="suppressions">
        <Suppressions query={query} />
      </Shell>
    )
  if (place === 'webhooks')
    return (
      <Shell place="webhooks">
        <WebhooksPage />
      </Shell>
    )
  if (place === 'audit')
    return (
      <Shell place="audit">
        <AuditPage />
      </Shell>
    )
  return (
    <Shell place="overview">
      <h1>Page not found</h1>
      <p class="dim">
        This dashboard has no such page. <a href={root.href}>Go to the overview</a>
      </p>
    </Shell>
  )
}

function PreviewPage() {
  const { path, query } = useRoute()
  usePageChange(path.join('/'))
  return (
    <Shell place="previews">
      <Previews chosen={path[0]} locale={query.get('locale') ?? ''} />
    </Shell>
  )
}

/** Scrolls to the top of a new page, and moves the focus there for keyboards and screen readers. */
function usePageChange(place: string): void {
  const last = useRef(place)
  useEffect(() => {
    if (last.current === place) return
    last.current = place
    document.getElementById('main')?.focus({ preventScroll: true })
    scrollTo(0, 0)
  }, [place])
}

const app = document.getElementById('app')
if (app !== null) {
  const previews = document.body.classList.contains('preview')
  connect({ watch: previews })
  app.replaceChildren()
  render(previews ? <PreviewPage /> : <Dashboard />, app)
}
