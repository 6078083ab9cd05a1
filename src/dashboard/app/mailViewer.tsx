import type { ComponentChildren } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import { bytes } from './format.js'

export interface FrameSettings {
  width: 'desktop' | 'phone'
  shade: 'light' | 'dark'
  set: (look: Partial<Pick<FrameSettings, 'width' | 'shade'>>) => void
}

export function useFrameSettings(): FrameSettings {
  const [look, setLook] = useState<Pick<FrameSettings, 'width' | 'shade'>>({ width: 'desktop', shade: 'light' })
  return { ...look, set: (change) => setLook((before) => ({ ...before, ...change })) }
}

export function FrameOptions({ look }: { look: FrameSettings }) {
  const choice = (name: string, chosen: boolean, change: Parameters<FrameSettings['set']>[0]) => (
    <button class="button small" type="button" aria-pressed={chosen} onClick={() => look.set(change)}>
      {name}
    </button>
  )
  return (
    <div class="frame-options">
      <div class="choice" role="group" aria-label="Width">
        {choice('Desktop', look.width === 'desktop', { width: 'desktop' })}
        {choice('Phone', look.width === 'phone', { width: 'phone' })}
      </div>
      <div class="choice" role="group" aria-label="Shade">
        {choice('Light', look.shade === 'light', { shade: 'light' })}
        {choice('Dark', look.shade === 'dark', { shade: 'dark' })}
      </div>
    </div>
  )
}

interface FrameProps {
  src: string
  title: string
  look: FrameSettings
}

/** A mail's HTML, in a document of its own that runs no script and loads nothing. */
export function Frame({ src, title, look }: FrameProps) {
  return (
    <div class={`frame ${look.width} ${look.shade}`}>
      <iframe
        src={src}
        title={title}
        sandbox="allow-popups allow-popups-to-escape-sandbox"
        referrerpolicy="no-referrer"
      />
    </div>
  )
}

/** Gmail shows no more than this much of a message's HTML, in bytes, and hides the rest behind a link. */
const CLIPPED = 102 * 1024

export function ClippingWarning({ htmlSize }: { htmlSize: number }) {
  if (htmlSize <= CLIPPED) return null
  return (
    <p class="notice warn">
      Gmail clips it: the HTML has {bytes(htmlSize)}, and Gmail shows the first {bytes(CLIPPED)} (102 KB)
      only.
    </p>
  )
}

/** What a page does not show because there is too much of it. */
export function TruncationNotes({ notes }: { notes: readonly string[] }) {
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

interface TabsProps {
  label: string
  tabs: readonly { name: string; contents: ComponentChildren }[]
}

/** Tabs as the ARIA Authoring Practices describe them: arrows move between them. */
export function Tabs({ label, tabs }: TabsProps) {
  const [chosen, setChosen] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const id = useId()
  const at = Math.min(chosen, tabs.length - 1)
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const next = (at + step + tabs.length) % tabs.length
    setChosen(next)
    list.current?.querySelectorAll<HTMLButtonElement>('[role=tab]')[next]?.focus()
  }
  return (
    <div class="tabbed">
      <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
        {tabs.map(({ name }, index) => (
          <button
            class="tab"
            type="button"
            role="tab"
            id={`${id}-${index}`}
            aria-selected={index === at}
            aria-controls={`${id}-panel`}
            tabIndex={index === at ? 0 : -1}
            onClick={() => setChosen(index)}
            key={name}
          >
            {name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${at}`}>
        {tabs[at]?.contents}
      </div>
    </div>
  )
}
