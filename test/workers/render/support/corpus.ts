import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** Real templates that live beside the repository on some machines; tests pass without them. */
const folder = path.join(import.meta.dirname, '../../../../../shared/corpus')

export const corpusIsThere = existsSync(folder)

export function corpusTemplates(): { name: string; source: string }[] {
  const templates = path.join(folder, 'email-templates')
  return readdirSync(templates)
    .filter((file) => file.endsWith('.mjml'))
    .map((file) => ({ name: file, source: readFileSync(path.join(templates, file), 'utf8') }))
}

export function receipt(): { source: string; data: Record<string, unknown> } {
  const read = (file: string) => readFileSync(path.join(folder, 'w1', file), 'utf8')
  return { source: read('receipt.mjml'), data: JSON.parse(read('receipt.json')) as Record<string, unknown> }
}

/** Puts expressions into a template: values in text and attributes, blocks in texts and around components. */
export function withExpressions(source: string): string {
  let count = 0
  const every = (n: number) => count++ % n === 0
  return source
    .replace(/\{\{[^}]*\}\}/g, 'x')
    .replace(/(<mj-(?:text|button)\b[^>]*>)([^<{]*\w[^<{]*)/g, (_all, tag: string, text: string) =>
      every(2)
        ? `${tag}{{@root.name}} ${text}`
        : `${tag}${text}{{#if @root.vip}} <b>{{@root.name}}</b>{{else}} {{@root.city}}{{/if}}`,
    )
    .replace(/(?<!<mj-font[^>]*)href="[^"{]*"/g, (all) => (every(2) ? 'href="{{@root.url}}"' : all))
    .replace(/\scolor="#[0-9a-f]+"/gi, (all) => (every(5) ? ' color="{{@root.brand.color}}"' : all))
    .replace(/<mj-divider\b[^>]*\/>|<mj-spacer\b[^>]*\/>/g, (all) =>
      every(2) ? `{{#if @root.vip}}${all}{{/if}}` : all,
    )
    .replace(/<mj-text\b[^>]*>[\s\S]*?<\/mj-text>/g, (all) =>
      every(6) ? `{{#each items}}${all}{{/each}}` : all,
    )
}
