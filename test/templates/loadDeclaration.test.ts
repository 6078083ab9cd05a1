import { describe, expect, test } from 'vitest'
import { readManifests } from '../../src/templates/precompile.js'
import { generateTypeDeclarations } from '../../src/templates/typeDeclarations.js'
import { folderOf } from '../support/folder.js'

const SOURCE =
  '<mjml><mj-body><mj-section><mj-column><mj-text>{{user.name}} {{user.id}} {{#if vip}}{{gift}}{{/if}} {{given}}</mj-text></mj-column></mj-section></mj-body></mjml>'

async function declarationOf(load: string, name = 'a.load.js') {
  const manifests = await readManifests(await folderOf({ 'a.mjml': SOURCE, [name]: load }))
  const [manifest] = manifests
  return { manifest, types: generateTypeDeclarations(manifests, '../templates') }
}

describe('A load module', () => {
  test('takes what it adds out of the needs and the types of the data', async () => {
    const { manifest, types } = await declarationOf(
      `export const adds = ['user.name', "gift"]\nexport const load = () => ({})`,
    )
    expect(JSON.stringify(manifest?.needs)).not.toMatch(/"name"|gift/)
    expect(JSON.stringify(manifest?.needs)).toMatch(/"user","id".*"vip".*"given"/)
    expect(types).toMatch(/data: \{\s+user: \{\s+id: [^\n]+\s+\}\s+vip\?: [^\n]+\s+given: /)
  })

  test('that declares nothing leaves the data to the thread', async () => {
    const { manifest, types } = await declarationOf('export const load = () => ({})')
    expect(manifest?.needs).toEqual([])
    expect(types).toContain('data: Record<string, unknown>')
  })

  test('gives the data the type of its parameter', async () => {
    const load =
      '/**\n * Loads.\n * @param {{ id: string, deep: { n: number } }} data\n */\nexport async function load(data) {}'
    expect((await declarationOf(load)).types).toContain('data: { id: string, deep: { n: number } }')
    const typescript = await declarationOf('export function load(data: { id: string }) {}', 'a.load.ts')
    expect(typescript.types).toContain('data: Parameters<typeof import("../templates/a.load.js").load>[0]')
  })

  test('with a computed list of what it adds makes the template unusable', async () => {
    const { manifest } = await declarationOf('export const adds = paths()\nexport const load = () => ({})')
    expect(manifest?.error).toContain('a.load.js: adds must be a list of paths')
  })
})
