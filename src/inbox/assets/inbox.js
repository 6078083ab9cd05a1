// Enhances the page, which also works without it: reloads the list, shows local times, switches the preview, deletes
// messages, and adds faults.
const $ = (id) => document.getElementById(id)
const panes = document.querySelector('.panes')
const { root, query } = panes.dataset
const news = $('news')
const home = (root || './') + query
const send = (method, path, body) =>
  fetch(`${root}api/${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })

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

/** Fetches this page again and replaces the list. There is one fetch at a time, however much mail arrives. */
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
    $('clear').disabled = fresh.querySelector('#clear').disabled
    const banner = $('faults')
    const focusedFault = banner.contains(document.activeElement)
    if (banner.textContent !== fresh.querySelector('#faults').textContent) {
      banner.replaceWith(fresh.querySelector('#faults'))
      readyBanner()
      if (focusedFault) $('make-fault').focus()
    }
    if (!document.body.classList.contains('opened'))
      document.querySelector('.mail').replaceWith(fresh.querySelector('.mail'))
    const { length } = list.querySelectorAll('.row')
    news.textContent = `${length} ${length === 1 ? 'message' : 'messages'}`
  } finally {
    await new Promise((resolve) => setTimeout(resolve, 250))
    refreshing = false
    if (again) {
      again = false
      void refresh()
    }
  }
}

let last
new EventSource(`${root}events`).onmessage = ({ data }) => {
  if (last !== undefined && last !== data) void refresh()
  last = data
}

$('clear').addEventListener('click', async () => {
  await send('DELETE', 'messages')
  location.href = root || './'
})

const remove = $('delete')
if (remove) {
  remove.hidden = false
  remove.addEventListener('click', async () => {
    const next = document.querySelector('li:has(> .row[aria-current]) + li > .row')
    await send('DELETE', `messages/${document.querySelector('.mail').dataset.id}`)
    location.href = next?.href ?? home
  })
}

// The banner lists the active faults; the dialog adds one.
const dialog = $('fault-dialog')
const what = $('fault-what')
const chosen = () => JSON.parse(what.value)

function readyBanner() {
  for (const button of document.querySelectorAll('[data-remove]')) button.hidden = false
}

function fitFields() {
  const { at, do: action } = chosen()
  $('fault-to').disabled = !['rcpt', 'data', 'dot'].includes(at)
  $('fault-ms').disabled = action !== 'delay'
}

/** Loads the active faults, because one may have been used up in the meantime, and replaces them. */
async function changeFaults(change) {
  const { faults } = await (await send('GET', 'faults')).json()
  const response = await send('PUT', 'faults', change(faults))
  if (!response.ok) return (await response.json()).detail
  await refresh()
}

$('make-fault').hidden = false
$('make-fault').addEventListener('click', () => {
  $('fault-error').hidden = true
  fitFields()
  dialog.showModal()
})
$('fault-cancel').addEventListener('click', () => dialog.close())
what.addEventListener('change', fitFields)

document.addEventListener('click', ({ target }) => {
  const button = target.closest?.('[data-remove]')
  if (!button) return
  void changeFaults((faults) => {
    const at = faults.findIndex(
      (fault) => JSON.stringify({ ...fault, times: undefined }) === button.dataset.remove,
    )
    return faults.filter((_, index) => index !== at)
  })
})

$('fault-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const fault = chosen()
  const to = $('fault-to')
  const chance = $('fault-chance').valueAsNumber
  const times = $('fault-times').valueAsNumber
  if (!to.disabled && to.value.trim() !== '') fault.to = to.value.trim()
  if (chance < 100) fault.probability = chance / 100
  if (times > 0) fault.times = times
  if (fault.do === 'delay') fault.ms = $('fault-ms').valueAsNumber
  const problem = await changeFaults((faults) => [...faults, fault])
  $('fault-error').textContent = problem ?? ''
  $('fault-error').hidden = problem === undefined
  if (problem === undefined) dialog.close()
})
readyBanner()

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

// j and k select the next and the previous message in the list; / moves the focus to the search.
document.addEventListener('keydown', (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey) return
  if (dialog.open || event.target.closest('input, select, textarea')) return
  if (event.key === '/') {
    event.preventDefault()
    $('q').focus()
  }
  if (!['j', 'k'].includes(event.key)) return
  const rows = [...document.querySelectorAll('.row')]
  const at = rows.findIndex((row) => row.hasAttribute('aria-current'))
  const next = rows[event.key === 'j' ? at + 1 : at === -1 ? 0 : at - 1]
  if (next) next.click()
})

localTimes(document)
document.querySelector('.row[aria-current]')?.scrollIntoView({ block: 'nearest' })
