// The page works without this: it only keeps the list fresh, shows local times and switches the preview.
const panes = document.querySelector('.panes')
const root = panes.dataset.root
const news = document.querySelector('#news')

function localTimes(within) {
  const today = new Date().toDateString()
  for (const time of within.querySelectorAll('time')) {
    const date = new Date(time.dateTime)
    const full = time.closest('.meta') !== null
    time.title = date.toLocaleString()
    time.textContent = full
      ? date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
      : date.toDateString() === today
        ? date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
        : date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
  }
}

let refreshing = false
let again = false

/** Fetches this very page and takes its list over; bursts of mail become one fetch after the other. */
async function refresh() {
  if (refreshing) {
    again = true
    return
  }
  refreshing = true
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' } })
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html')
    const list = document.querySelector('#list')
    const scrolled = list.scrollTop
    const focused = document.activeElement?.getAttribute('href')
    const known = new Set([...list.querySelectorAll('.row')].map((row) => row.getAttribute('href')))
    list.replaceChildren(...fresh.querySelector('#list').childNodes)
    for (const row of list.querySelectorAll('.row')) {
      if (!known.has(row.getAttribute('href'))) row.classList.add('new')
      if (focused && row.getAttribute('href') === focused) row.focus({ preventScroll: true })
    }
    list.scrollTop = scrolled
    localTimes(list)
    document.title = fresh.title
    document.querySelector('#clear').disabled = fresh.querySelector('#clear').disabled
    if (!document.body.classList.contains('opened'))
      document.querySelector('.mail').replaceWith(fresh.querySelector('.mail'))
    news.textContent = `${list.querySelectorAll('.row').length} mails`
  } finally {
    await new Promise((resolve) => setTimeout(resolve, 250))
    refreshing = false
    if (again) {
      again = false
      void refresh()
    }
  }
}

let count
new EventSource(`${root}events`).onmessage = ({ data }) => {
  if (count !== undefined && count !== data) void refresh()
  count = data
}

document.querySelector('#clear').addEventListener('click', async () => {
  await fetch(`${root}api/messages`, { method: 'DELETE' })
  location.href = root || './'
})

const toggles = document.querySelector('.toggles')
if (toggles) {
  const frame = document.querySelector('.frame')
  const dark = matchMedia('(prefers-color-scheme: dark)')
  toggles.hidden = false
  const name = () => {
    toggles.querySelector('[data-toggle=shade]').textContent = dark.matches ? 'Light' : 'Dark'
  }
  name()
  dark.addEventListener('change', name)
  toggles.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-toggle]')
    if (!button) return
    const on = button.getAttribute('aria-pressed') !== 'true'
    button.setAttribute('aria-pressed', String(on))
    frame.classList.toggle(button.dataset.toggle, on)
  })
}

// j and k walk through the list, newest first.
document.addEventListener('keydown', (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || !['j', 'k'].includes(event.key)) return
  const rows = [...document.querySelectorAll('.row')]
  const at = rows.findIndex((row) => row.hasAttribute('aria-current'))
  const next = rows[event.key === 'j' ? at + 1 : at === -1 ? 0 : at - 1]
  if (next) next.click()
})

localTimes(document)
document.querySelector('.row[aria-current]')?.scrollIntoView({ block: 'nearest' })
