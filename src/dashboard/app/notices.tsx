/** Says what went wrong. Absent without a text. */
export function Problem({ text }: { text: string }) {
  if (text === '') return null
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  )
}

/** Says what the last action did. It is always there, so that a screen reader announces each change. */
export function News({ text }: { text: string }) {
  return (
    <p class="news" role="status">
      {text}
    </p>
  )
}
