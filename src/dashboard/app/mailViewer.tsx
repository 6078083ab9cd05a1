import type { ComponentChildren } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import { bytes } from './format.js'

export interface FrameSettings {
  width: 'desktop' | 'phone'
  shade: 'light' | 'dark'
  set: (change: Partial<Pick<FrameSettings, 'width' | 'shade'>>) => void
}

export function useFrameSettings(): FrameSettings {
  const [settings, setSettings] = useState<Pick<FrameSettings, 'width' | 'shade'>>({
    width: 'desktop',
    shade: 'light',
  })
  return { ...settings, set: (change) => setSettings((before) => ({ ...before, ...change })) }
}

export function FrameOptions({ settings }: { settings: FrameSettings }) {
  const choice = (name: string, chosen: boolean, change: Parameters<FrameSettings['set']>[0]) => (
    <button class="button small" type="button" aria-pressed={chosen} onClick={() => settings.set(change)}>
      {name}
    </button>
  )
  return (
    <div class="frame-options">
      <div class="choice" role="group" aria-label="Width">
        {choice('Desktop', settings.width === 'desktop', { width: 'desktop' })}
        {choice('Phone', settings.width === 'phone', { width: 'phone' })}
      </div>
      <div class="choice" role="group" aria-label="Color scheme">
        {choice('Light', settings.shade === 'light', { shade: 'light' })}
        {choice('Dark', settings.shade === 'dark', { shade: 'dark' })}
      </div>
    </div>
  )
}

interface FrameProps {
  src: string
  title: string
  settings: FrameSettings
}

/** The HTML of a message in its own document, which runs no script and loads nothing. */
export function Frame({ src, title, settings }: FrameProps) {
  return (
    <div class={`frame ${settings.width} ${settings.shade}`}>
      <iframe
        src={src}
        title={title}
        sandbox="allow-popups allow-popups-to-escape-sandbox"
        referrerpolicy="no-referrer"
      />
    </div>
  )
}

/** The bytes of HTML that Gmail shows; it hides the rest behind a link. */
const GMAIL_LIMIT = 102 * 1024

function ClippingWarning({ htmlSize }: { htmlSize: number }) {
  if (htmlSize <= GMAIL_LIMIT) return null
  return (
    <p class="notice warn">
      Gmail clips this message: its HTML is {bytes(htmlSize)}, and Gmail shows only the first{' '}
      {bytes(GMAIL_LIMIT)} (102 KB).
    </p>
  )
}

/** Notes on parts of a message that are too long to show in full. */
function TruncationNotes({ notes }: { notes: readonly string[] }) {
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

interface MailPartsProps {
  htmlSize: number
  notes: readonly string[]
  /** The view of the HTML; absent if the message has none. */
  html?: ComponentChildren
  text: string
  more?: TabsProps['tabs']
}

/** The parts of a message as tabs, below what is to be known of them. */
export function MailParts({ htmlSize, notes, html, text, more = [] }: MailPartsProps) {
  const plain = (
    <pre class="plain" tabIndex={0}>
      {text}
    </pre>
  )
  return (
    <>
      <ClippingWarning htmlSize={htmlSize} />
      <TruncationNotes notes={notes} />
      <Tabs
        label="Message parts"
        tabs={[
          ...(html === undefined ? [] : [{ name: 'HTML', contents: html }]),
          { name: 'Text', contents: plain },
          ...more,
        ]}
      />
    </>
  )
}

interface TabsProps {
  label: string
  tabs: readonly { name: string; contents: ComponentChildren }[]
}

/** Tabs as in the ARIA Authoring Practices Guide: the arrow keys move between them. */
function Tabs({ label, tabs }: TabsProps) {
  const [selected, setSelected] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const id = useId()
  const at = Math.min(selected, tabs.length - 1)
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const next = (at + step + tabs.length) % tabs.length
    setSelected(next)
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
            onClick={() => setSelected(index)}
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
