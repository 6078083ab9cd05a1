import { render } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { connect } from './liveState.js'
import { Message } from './messagePage.js'
import { Messages } from './messagesPage.js'
import { useRoute } from './navigation.js'
import { Overview } from './overviewPage.js'
import { Previews } from './previewsPage.js'
import { Shell } from './shell.js'

function Dashboard() {
  const { path, query } = useRoute()
  const [place = '', id] = path
  useArrival(path.join('/'))
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
  return (
    <Shell place="overview">
      <p class="empty">There is nothing at this address.</p>
    </Shell>
  )
}

function PreviewPage() {
  const { path, query } = useRoute()
  useArrival(path.join('/'))
  return (
    <Shell place="previews">
      <Previews chosen={path[0]} locale={query.get('locale') ?? ''} />
    </Shell>
  )
}

/** Another place begins at its top, and a keyboard or a screen reader begins there, too. */
function useArrival(place: string): void {
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
