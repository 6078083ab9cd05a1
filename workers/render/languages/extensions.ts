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

/** Whether a file is the main source of a template. HTML without a document is a fragment for `mj-include`. */
export function isTemplate(file: SourceFile): boolean {
  const extension = extensionOf(file)
  // A component that others import has no default export, or is in a folder of components.
  if (isComponent(extension))
    return !/(?:^|\/)components\//.test(file.name) && /\bexport\s+default\b|\bas\s+default\b/.test(file.text)
  if (extension === '.html') return /<(?:!doctype|html|body)\b|\{\{#extend\b/i.test(file.text)
  return (TEMPLATE_EXTENSIONS as readonly string[]).includes(extension)
}

/** Returns the file whose language has precedence. */
export function preferred(known: SourceFile | undefined, file: SourceFile): SourceFile {
  return known === undefined || rank(file) < rank(known) ? file : known
}

function rank(file: SourceFile): number {
  return (TEMPLATE_EXTENSIONS as readonly string[]).indexOf(extensionOf(file))
}
