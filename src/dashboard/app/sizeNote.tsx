import { bytes } from './format.js'

/** Gmail shows no more than this much of a message's HTML, in bytes, and hides the rest behind a link. */
const CLIPPED = 102 * 1024

export function SizeNote({ htmlSize }: { htmlSize: number }) {
  if (htmlSize <= CLIPPED) return null
  return (
    <p class="notice warn">
      Gmail clips it: the HTML has {bytes(htmlSize)}, and Gmail shows the first {bytes(CLIPPED)} (102 KB)
      only.
    </p>
  )
}

/** What a page does not show because there is too much of it. */
export function LeftOut({ notes }: { notes: readonly string[] }) {
  return (
    <>
      {notes.map((note) => (
        <p class="notice warn" key={note}>
          {note}
        </p>
      ))}
    </>
  )
}
