import { useEffect, useState } from 'preact/hooks'
import type { Neighbors } from '../viewModels.js'
import { lastListed } from './messagesPage.js'
import { hrefOf } from './navigation.js'
import { get } from './request.js'

/** Back to the list, and to the previous and next message of it, also beyond the page that was listed. */
export function MessageNavigation({ id }: { id: string }) {
  // The list is noted when its page is left, which is after the first render of this one.
  const [{ search, ids }, setList] = useState(lastListed)
  useEffect(() => setList(lastListed()), [])
  const at = ids.indexOf(id)
  const [found, setFound] = useState<Neighbors & { of: string }>()
  const asked = `${id}?${search}`
  const listed = at < 0 ? {} : { newer: ids[at - 1], older: ids[at + 1] }
  const known = listed.newer !== undefined && listed.older !== undefined
  useEffect(() => {
    if (known) return
    const controller = new AbortController()
    const filters = new URLSearchParams(search)
    filters.delete('cursor')
    get<Neighbors>(
      `messages/${encodeURIComponent(id)}/neighbors?${filters.toString()}`,
      controller.signal,
    ).then(
      (neighbors) => setFound({ ...neighbors, of: asked }),
      // The page of the message reports its own failure; without these links, the list still leads to the others.
      () => undefined,
    )
    return () => controller.abort()
  }, [asked, known])
  const neighbor = (to: keyof Neighbors, text: string) => {
    const other = listed[to] ?? (found?.of === asked ? found[to] : undefined)
    return other !== undefined && <a href={hrefOf(`messages/${other}`)}>{text}</a>
  }
  return (
    <nav class="message-nav" aria-label="Messages in the list">
      <a class="back" href={`${hrefOf('messages')}${search === '' ? '' : `?${search}`}`}>
        ‹ {search === '' ? 'All messages' : 'Back to the search'}
      </a>
      <span>
        {neighbor('newer', 'Previous')} {neighbor('older', 'Next')}
      </span>
    </nav>
  )
}
