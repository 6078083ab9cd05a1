import path from 'node:path'
import type { SourceFile } from '../template/sourceFile.js'

/** File extensions of main sources, in the order of precedence: of two files for one variant, the earlier language counts. */
export const TEMPLATE_EXTENSIONS = ['.mjml', '.html', '.tsx', '.jsx'] as const

export function extensionOf(file: SourceFile): string {
  return path.posix.extname(file.name)
}

/** Whether a file contains a React component: its packages are loaded from where it lies. */
export function isComponent(extension: string): boolean {
  return extension === '.tsx' || extension === '.jsx'
}

/** Whether a file has the extension of a main source. */
export function mayBeTemplate(file: SourceFile): boolean {
  return (TEMPLATE_EXTENSIONS as readonly string[]).includes(extensionOf(file))
}

/** Returns why a file is not the main source of a template, although it has the extension of one; undefined if it is one. */
export function whyNoTemplate({ name, text }: SourceFile): string | undefined {
  const extension = path.posix.extname(name)
  if (isComponent(extension)) {
    if (/(?:^|\/)components\//.test(name))
      return `${name} is in a folder named components, so it is a part of templates`
    if (/\bexport\s+default\b|\bas\s+default\b/.test(text)) return undefined
    return `${name} has no default export, so it is a part of templates: export the component as default`
  }
  if (extension !== '.html' || /<(?:!doctype|html|body)\b|\{\{#extend\b/i.test(text)) return undefined
  return `${name} has no <!doctype html>, <html>, or <body>, and extends no layout, so it is a fragment for mj-include: add <!doctype html> to make it a template`
}

/** Returns the file whose language has precedence. */
export function preferred(known: SourceFile | undefined, file: SourceFile): SourceFile {
  return known === undefined || rank(file) < rank(known) ? file : known
}

function rank(file: SourceFile): number {
  return (TEMPLATE_EXTENSIONS as readonly string[]).indexOf(extensionOf(file))
}
