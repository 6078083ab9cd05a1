import { useEffect, useMemo, useState } from 'preact/hooks'

/** The current page. It is in the URL’s fragment, so that it works under any mount path and can be linked to. */
export interface Route {
  path: string[]
  query: URLSearchParams
}

export function hrefOf(path: string, query: Record<string, string> = {}): string {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '')).toString()
  return `#/${path}${text === '' ? '' : `?${text}`}`
}

/** @param replace whether to replace the entry in the browser’s history, as for every keystroke in a search */
export function go(href: string, { replace = false } = {}): void {
  if (!replace) {
    location.hash = href
    return
  }
  history.replaceState(null, '', href)
  dispatchEvent(new HashChangeEvent('hashchange'))
}

function parseFragment(fragment: string): Route {
  const [path = '', query = ''] = fragment.replace(/^#\/?/, '').split('?')
  return {
    path: path
      .split('/')
      .filter((part) => part !== '')
      .map(decode),
    query: new URLSearchParams(query),
  }
}

export function useRoute(): Route {
  const [fragment, setFragment] = useState(location.hash)
  useEffect(() => {
    const update = () => setFragment(location.hash)
    addEventListener('hashchange', update)
    // Effects run after the first paint. The fragment may have changed before the listener was added.
    update()
    return () => removeEventListener('hashchange', update)
  }, [])
  return useMemo(() => parseFragment(fragment), [fragment])
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
