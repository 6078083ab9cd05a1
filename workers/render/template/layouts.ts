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
      throw templateError('{{#content}} must be directly inside {{#extend}}', placeOf(statement, env))
  }
}

function expandExtend(name: string, statement: hbs.AST.BlockStatement, env: Environment): TemplateNode[] {
  const at = placeOf(statement, env)
  const file = env.parts.layouts.get(name)
  if (file === undefined) {
    const known = [...env.parts.layouts.keys()].slice(0, 20).join(', ')
    throw templateError(`unknown layout '${name}'. Known layouts: ${known === '' ? 'none' : known}`, at)
  }
  const marker = `layout ${name}`
  if (env.inside.includes(marker)) throw templateError(`the layout '${name}' extends itself`, at)

  const keep = env.expansion.numberOf(statement)
  const contents = new Map(env.contents)
  for (const child of statement.program.body) {
    const definition = contentOf(child, env, keep)
    if (definition === undefined) continue
    // The content of a template takes precedence over that of a layout between it and the base.
    contents.set(definition.name, [...(env.contents.get(definition.name) ?? []), definition.content])
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
): { name: string; content: BlockContent } | undefined {
  if (child.type === 'CommentStatement') return undefined
  if (child.type === 'ContentStatement' && (child as hbs.AST.ContentStatement).value.trim() === '')
    return undefined
  const block = child as hbs.AST.BlockStatement
  const name = child.type === 'BlockStatement' ? block.params[0] : undefined
  if (name?.type !== 'StringLiteral' || block.path.original !== 'content')
    throw templateError('{{#extend}} may contain only {{#content "name"}} blocks', placeOf(child, env))
  const mode = hashOf(block.hash, namesOf(env)).find(([key]) => key === 'mode')?.[1]
  const requested = mode?.kind === 'literal' ? mode.value : 'replace'
  if (requested !== 'replace' && requested !== 'append' && requested !== 'prepend')
    throw templateError('mode must be "replace", "append" or "prepend"', placeOf(child, env))
  return {
    name: (name as hbs.AST.StringLiteral).value,
    content: { program: block.program, env, reach: keep, mode: requested },
  }
}

function expandSlot(name: string, statement: hbs.AST.BlockStatement, env: Environment): TemplateNode[] {
  const { program } = statement
  let nodes = withPrograms(statement, [program], env, (around) => expandProgram(program, env, around))
  for (const content of [...(env.contents.get(name) ?? [])].reverse()) {
    const { reach, mode } = content
    const body = expandFragment(content, env)
    const filled = simplifyScope({ kind: 'scope', hash: [], reach, body, at: placeOf(statement, env) })
    if (mode === 'replace') nodes = filled
    else nodes = mode === 'append' ? [...nodes, ...filled] : [...filled, ...nodes]
  }
  return nodes
}
