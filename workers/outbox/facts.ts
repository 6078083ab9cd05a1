/** What a listing asks of a message, read off its stored head. */
export interface Facts {
  id: string
  recipients: string[]
  tags: string[]
  subject: string
  template?: string
}

interface Head {
  id: string
  to: { address: string }[]
  cc: { address: string }[]
  bcc: { address: string }[]
  tags: string[]
  subject?: string
  content: { kind: string; name?: string }
}

export function factsOf(head: string): Facts {
  const { id, to, cc, bcc, tags, subject = '', content } = JSON.parse(head) as Head
  const facts: Facts = { id, recipients: [...to, ...cc, ...bcc].map(({ address }) => address), tags, subject }
  if (content.kind === 'template' && content.name !== undefined) facts.template = content.name
  return facts
}

/** The text that `q` is looked for in, in lower case. */
export function textOf({ recipients, tags, subject, template = '' }: Facts): string {
  return [subject, template, ...tags, ...recipients].join('\n').toLowerCase()
}
