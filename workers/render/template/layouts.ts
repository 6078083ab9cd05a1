import { expandFragment, expandSharedFile, expandProgram, withPrograms } from './expand.js'
import { type BlockContent, type Environment, namesOf, placeOf } from './expansion.js'
import { hashOf } from './expression.js'
import { templateError } from './parse.js'
import { simplifyScope } from './scopeNodes.js'
import type { TemplateNode } from './tree.js'

/**
 * `{{#extend "layout"}}{{#content "name"}}…{{/content}}{{/extend}}` fills the `{{#block "name"}}default{{/block}}` of
 * `layouts/layout.mjml`. `mode="append"` or `"prepend"` keeps the default beside the content.
 */
export function expandLayoutBlock(statement: hbs.AST.BlockStatement, env: Environment): TemplateNode[] {
  const name = (statement.params[0] as hbs.AST.StringLiteral).value
  switch (statement.path.original) {
    case 'extend':
      return expandExtend(name, statement, env)
    case 'block':
      return expandSlot(name, statement, env)
    default:
      throw templateError('{{#content}} stands directly inside {{#extend}} only', placeOf(statement, env))
  }
}

function expandExtend(name: string, statement: hbs.AST.BlockStatement, env: Environment): TemplateNode[] {
  const at = placeOf(statement, env)
  const file = env.parts.layouts.get(name)
  if (file === undefined) {
    const known = [...env.parts.layouts.keys()].slice(0, 20).join(', ')
    throw templateError(`there is no layout '${name}'. Known: ${known === '' ? 'none' : known}`, at)
  }
  const marker = `layout ${name}`
  if (env.inside.includes(marker)) throw templateError(`the layout '${name}' extends itself`, at)

  const keep = env.expansion.numberOf(statement)
  const contents = new Map(env.contents)
  for (const child of statement.program.body) {
    const content = contentOf(child, env, keep)
    if (content === undefined) continue
    // A template's content comes before what a layout between it and the base says.
    contents.set(content.name, [...(env.contents.get(content.name) ?? []), content.given])
  }
  const body = expandSharedFile(file, { ...env, contents, inside: [...env.inside, marker] })
  return simplifyScope({
    kind: 'scope',
    hash: hashOf(statement.hash, namesOf(env)),
    reach: 'file',
    keep,
    body,
    at,
  })
}

function contentOf(
  child: hbs.AST.Statement,
  env: Environment,
  keep: number,
): { name: string; given: BlockContent } | undefined {
  if (child.type === 'CommentStatement') return undefined
  if (child.type === 'ContentStatement' && (child as hbs.AST.ContentStatement).value.trim() === '')
    return undefined
  const block = child as hbs.AST.BlockStatement
  const name = child.type === 'BlockStatement' ? block.params[0] : undefined
  if (name?.type !== 'StringLiteral' || block.path.original !== 'content')
    throw templateError('only {{#content "name"}} blocks belong inside {{#extend}}', placeOf(child, env))
  const mode = hashOf(block.hash, namesOf(env)).find(([key]) => key === 'mode')?.[1]
  const written = mode?.kind === 'literal' ? mode.value : 'replace'
  if (written !== 'replace' && written !== 'append' && written !== 'prepend')
    throw templateError('mode is "replace", "append" or "prepend"', placeOf(child, env))
  return {
    name: (name as hbs.AST.StringLiteral).value,
    given: { program: block.program, env, reach: keep, mode: written },
  }
}

function expandSlot(name: string, statement: hbs.AST.BlockStatement, env: Environment): TemplateNode[] {
  const { program } = statement
  let nodes = withPrograms(statement, [program], env, (around) => expandProgram(program, env, around))
  for (const given of [...(env.contents.get(name) ?? [])].reverse()) {
    const { reach } = given
    const body = expandFragment(given, env)
    const content = simplifyScope({ kind: 'scope', hash: [], reach, body, at: placeOf(statement, env) })
    if (given.mode === 'replace') nodes = content
    else nodes = given.mode === 'append' ? [...nodes, ...content] : [...content, ...nodes]
  }
  return nodes
}
