import { expandFile } from './expand.js'
import type { Environment } from './expansion.js'
import { templateError } from './parse.js'
import { placeWithin, type SourceFile } from './sourceFile.js'
import type { Place, TemplateNode } from './tree.js'

const INCLUDE = /<mj-include\b([^>]*?)(?:\/>|>\s*<\/mj-include\s*>)/g
const COMMENT = /<!--[\s\S]*?-->/g

/**
 * The text with each `<mj-include path="…">` replaced by what it includes, the way MJML would, except that a file
 * that can't be read is an error.
 */
export function splitIncludes(text: string, at: Place, lost: string, env: Environment): TemplateNode[] {
  const place = (offset: number): Place => placeWithin(env.file, at, lost + text, lost.length + offset)
  const nodes: TemplateNode[] = []
  let done = 0
  if (text.includes('<mj-include')) {
    const comments = [...text.matchAll(COMMENT)].map(
      (found) => [found.index, found.index + found[0].length] as const,
    )
    for (const found of text.matchAll(INCLUDE)) {
      if (comments.some(([from, to]) => found.index > from && found.index < to)) continue
      if (found.index > done)
        nodes.push({ kind: 'text', text: text.slice(done, found.index), at: place(done) })
      nodes.push(...include(found[1] ?? '', place(found.index), env))
      done = found.index + found[0].length
    }
  }
  if (done < text.length) nodes.push({ kind: 'text', text: text.slice(done), at: place(done) })
  return nodes
}

function include(attributes: string, at: Place, env: Environment): TemplateNode[] {
  const attribute = (name: string): string | undefined => {
    const found = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(attributes)
    return found?.[1] ?? found?.[2]
  }
  const path = attribute('path')
  if (path === undefined) throw templateError('mj-include needs a path, written out', at)
  const file = env.parts.include(env.file.name, path)
  if ('refused' in file) throw templateError(`mj-include of '${path}' ${file.refused}`, at)
  const marker = `include ${file.name}`
  if (env.inside.includes(marker)) throw templateError(`mj-include of '${path}' includes itself`, at)
  const inner: Environment = { ...env, inside: [...env.inside, marker] }

  switch (attribute('type')) {
    case 'html':
      return wrapped('<mj-raw>', expandFile(file, inner), '</mj-raw>', at)
    case 'css': {
      const open = attribute('css-inline') === 'inline' ? '<mj-style inline="inline">' : '<mj-style>'
      return toHead(wrapped(open, expandFile(file, inner), '</mj-style>', at), env)
    }
    default:
      return includeMjml(file, inner)
  }
}

/** A fragment stands where it is included; of a whole document the body does, and its head joins the head. */
function includeMjml(file: SourceFile, env: Environment): TemplateNode[] {
  if (!/<mjml[\s>]/.test(file.text)) return expandFile(file, env)
  const head = inner(file.text, 'mj-head')
  const body = inner(file.text, 'mj-body')
  return [
    ...(head === undefined ? [] : toHead(expandFile(part(file, head), env), env)),
    ...(body === undefined ? [] : expandFile(part(file, body), env)),
  ]
}

/** Such nodes stay in their place until the whole tree is there, so that it is known what is around them. */
function toHead(nodes: TemplateNode[], env: Environment): TemplateNode[] {
  for (const node of nodes) env.expansion.heads.add(node)
  return nodes
}

function inner(text: string, tag: string): [start: number, end: number] | undefined {
  const open = new RegExp(`<${tag}(?:\\s[^>]*)?>`).exec(text)
  const end = text.lastIndexOf(`</${tag}`)
  return open === null || end < open.index ? undefined : [open.index + open[0].length, end]
}

/** Keeps the lines where they are, so that places stay true. */
function part(file: SourceFile, [start, end]: [number, number]): SourceFile {
  const before = file.text.slice(0, start).replace(/[^\n]/g, ' ')
  return { name: file.name, text: before + file.text.slice(start, end) }
}

function wrapped(open: string, nodes: TemplateNode[], close: string, at: Place): TemplateNode[] {
  return [{ kind: 'text', text: open, at }, ...nodes, { kind: 'text', text: close, at }]
}

/**
 * Takes the heads of included documents out of a tree. What is bound in one keeps the blocks and partials that its
 * `mj-include` stands in, so that it is bound there, and as often.
 */
export function extractHeads(
  nodes: readonly TemplateNode[],
  heads: ReadonlySet<TemplateNode>,
): { rest: TemplateNode[]; head: TemplateNode[] } {
  const rest: TemplateNode[] = []
  const head: TemplateNode[] = []
  for (const node of nodes) {
    if (heads.has(node)) head.push(node)
    else if (node.kind === 'block') {
      const body = extractHeads(node.body, heads)
      const inverse = extractHeads(node.inverse, heads)
      rest.push({ ...node, body: body.rest, inverse: inverse.rest })
      if (isFree(body.head) && isFree(inverse.head)) head.push(...body.head, ...inverse.head)
      else head.push({ ...node, body: body.head, inverse: inverse.head })
    } else if (node.kind === 'scope') {
      const body = extractHeads(node.body, heads)
      rest.push({ ...node, body: body.rest })
      if (isFree(body.head)) head.push(...body.head)
      else head.push({ ...node, body: body.head })
    } else rest.push(node)
  }
  return { rest, head }
}

const OTHER_SETTING = /<mj-(?!(?:style|font)\b)/

/** Fixed styles and fonts do no harm where their block is absent, and do not make the template bind first. */
function isFree(head: readonly TemplateNode[]): boolean {
  return head.every((node) => node.kind === 'text' && !OTHER_SETTING.test(node.text))
}
