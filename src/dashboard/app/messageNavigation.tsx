import { lastListed } from './messagesPage.js'
import { hrefOf } from './navigation.js'

/** Back to the list, and to the previous and next message of it. */
export function MessageNavigation({ id }: { id: string }) {
  const { search, ids } = lastListed()
  const at = ids.indexOf(id)
  const neighbor = (index: number, text: string) => {
    const other = at < 0 ? undefined : ids[index]
    return other !== undefined && <a href={hrefOf(`messages/${other}`)}>{text}</a>
  }
  return (
    <nav class="message-nav" aria-label="Messages of the list">
      <a class="back" href={`${hrefOf('messages')}${search === '' ? '' : `?${search}`}`}>
        ‹ {search === '' ? 'All messages' : 'Back to the search'}
      </a>
      <span>
        {neighbor(at - 1, 'Previous')} {neighbor(at + 1, 'Next')}
      </span>
    </nav>
  )
}
