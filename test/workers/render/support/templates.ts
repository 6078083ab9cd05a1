import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import type { JsonObject, JsonText, RenderedParts } from '../../../../src/protocol/tasks.js'
import { createRenderer } from '../../../../workers/render/createRenderer.js'
import type { Renderer } from '../../../../workers/render/renderer.js'
import { TemplateFailure } from '../../../../workers/render/template/sourceFile.js'
import { critical } from './both.js'

/** A new template folder for each test, with a renderer. */
export interface Templates {
  dir: string
  renderer: Renderer
  write(files: Record<string, string>): Promise<void>
  render(name: string, data?: JsonObject, locale?: string): Promise<RenderedParts>
}

/** Call it once in a file. The returned object is filled before each test. */
export function useTemplates(): Templates {
  const templates = { write, render } as Templates
  beforeEach(async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'threadpost-templates-'))
    const renderer = createRenderer({ templates: { dir, globals: { product: 'Northwind' } } })
    Object.assign(templates, { dir, renderer })
  })
  afterEach(() => rm(templates.dir, { recursive: true, force: true }))

  async function write(files: Record<string, string>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(templates.dir, name)
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, content)
    }
  }

  function render(name: string, data: JsonObject = {}, locale?: string): Promise<RenderedParts> {
    const content = { kind: 'template' as const, name, data: JSON.stringify(data) as JsonText }
    return templates.renderer.render(
      { content: { ...content, ...(locale === undefined ? {} : { locale }) } },
      critical,
    )
  }

  return templates
}

/** Returns the TemplateFailure that the work rejects with. */
export async function failure(work: Promise<unknown>): Promise<TemplateFailure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(TemplateFailure)
  return error as TemplateFailure
}

/** A mail with one column. */
export function mail(body: string, head = ''): string {
  return `<mjml><mj-head>${head}</mj-head><mj-body><mj-section><mj-column>\n${body}\n</mj-column></mj-section></mj-body></mjml>`
}

/** A mail with one text component. */
export function text(content: string): string {
  return mail(`<mj-text>${content}</mj-text>`)
}
