import { expandFile } from './expand.js'
import type { Environment } from './expansion.js'
import { templateError } from './parse.js'
import { placeWithin, type SourceFile } from './sourceFile.js'
import type { Place, TemplateNode } from './tree.js'

const INCLUDE = /<mj-include\b([^>]*?)(?:\/>|>\s*<\/mj-include\s*>)/g
const COMMENT = /<!--[\s\S]*?-->/g

/**
 * Returns the nodes of a text, with each `<mj-include path="…">` expanded as in MJML, except that a missing file is an
 * error.
 * @param stripped white space before the text that Handlebars removed, so that places stay correct
 */
export function splitIncludes(text: string, at: Place, stripped: string, env: Environment): TemplateNode[] {
  const place = (offset: number): Place =>
    placeWithin(env.file, at, stripped + text, stripped.length + offset)
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
  if (path === undefined) throw templateError('mj-include needs a path without expressions', at)
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

/** Includes a fragment in place. Of a whole document, includes the body in place and appends the head to the head. */
function includeMjml(file: SourceFile, env: Environment): TemplateNode[] {
  if (!/<mjml[\s>]/.test(file.text)) return expandFile(file, env)
  const head = inner(file.text, 'mj-head')
  const body = inner(file.text, 'mj-body')
  return [
    ...(head === undefined ? [] : toHead(expandFile(part(file, head), env), env)),
    ...(body === undefined ? [] : expandFile(part(file, body), env)),
  ]
}

/** Registers nodes for the head. They stay in place until the tree is complete, so that the blocks around them are known. */
function toHead(nodes: TemplateNode[], env: Environment): TemplateNode[] {
  for (const node of nodes) env.expansion.heads.add(node)
  return nodes
}

function inner(text: string, tag: string): [start: number, end: number] | undefined {
  const open = new RegExp(`<${tag}(?:\\s[^>]*)?>`).exec(text)
  const end = text.lastIndexOf(`</${tag}`)
  return open === null || end < open.index ? undefined : [open.index + open[0].length, end]
}

/** Replaces the text before the part with white space, so that places stay correct. */
function part(file: SourceFile, [start, end]: [number, number]): SourceFile {
  const before = file.text.slice(0, start).replace(/[^\n]/g, ' ')
  return { name: file.name, text: before + file.text.slice(start, end) }
}

function wrapped(open: string, nodes: TemplateNode[], close: string, at: Place): TemplateNode[] {
  return [{ kind: 'text', text: open, at }, ...nodes, { kind: 'text', text: close, at }]
}

/**
 * Moves the heads of included documents out of a tree. An expression in one keeps the blocks and partials around its
 * `mj-include`, so that it is bound in the same scope and as often.
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
      if (isUnconditional(body.head) && isUnconditional(inverse.head))
        head.push(...body.head, ...inverse.head)
      else head.push({ ...node, body: body.head, inverse: inverse.head })
    } else if (node.kind === 'scope') {
      const body = extractHeads(node.body, heads)
      rest.push({ ...node, body: body.rest })
      if (isUnconditional(body.head)) head.push(...body.head)
      else head.push({ ...node, body: body.head })
    } else rest.push(node)
  }
  return { rest, head }
}

const OTHER_SETTING = /<mj-(?!(?:style|font)\b)/

/** Whether a head can leave its block. Fixed styles and fonts do no harm if the block is absent, and they don't prevent precompilation. */
function isUnconditional(head: readonly TemplateNode[]): boolean {
  return head.every((node) => node.kind === 'text' && !OTHER_SETTING.test(node.text))
}
