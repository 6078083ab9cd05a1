// Logs in with the token, then opens the page that the user wanted.
const form = document.getElementById('login')
const field = document.getElementById('token')
const error = document.getElementById('error')
const button = form.querySelector('button')

function openTarget() {
  const home = new URL('./', location.href)
  const wanted = new URLSearchParams(location.search).get('next') ?? ''
  const target = URL.canParse(wanted, home) ? new URL(wanted, home) : home
  // The target is always on this site, even if the URL says otherwise.
  const inside = target.origin === home.origin && target.pathname.startsWith(home.pathname)
  const destination = inside ? target : home
  // A browser keeps the fragment through the redirect to this page: it names the place within the dashboard.
  if (destination.hash === '') destination.hash = location.hash
  location.replace(destination)
}

function showError(text) {
  error.textContent = text
  error.hidden = false
  field.setAttribute('aria-invalid', 'true')
  field.select()
}

// A user who followed a link from another site may be logged in: the browser withheld the cookie only for that request.
fetch('session')
  .then((response) => response.json())
  .then(({ scopes }) => scopes.includes('read') && openTarget())
  .catch(() => undefined)

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  error.hidden = true
  button.disabled = true
  try {
    const response = await fetch('login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: field.value }),
    })
    if (response.ok) openTarget()
    else showError((await response.json()).detail)
  } catch {
    showError('Can’t reach the server. Is it running?')
  } finally {
    button.disabled = false
  }
})
