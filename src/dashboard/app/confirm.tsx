import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

interface ConfirmProps {
  question: string
  /** Label of the button that agrees. */
  yes: string
  children?: ComponentChildren
  answer: (yes: boolean) => void
}

/** Asks before an action. */
export function Confirm({ question, yes, children, answer }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="confirm" aria-labelledby="confirm-title" onClose={() => answer(false)}>
      <h2 id="confirm-title">{question}</h2>
      {children}
      <div class="confirm-buttons">
        <button class="button" type="button" onClick={() => answer(false)}>
          Go back
        </button>
        <button class="button primary" type="button" onClick={() => answer(true)}>
          {yes}
        </button>
      </div>
    </dialog>
  )
}
