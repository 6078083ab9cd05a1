import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from 'vitest'
import { root } from './support/readme.js'

/** What somebody reads without the code's tools, where nothing else finds a link that leads nowhere. */
const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']

const source = async (page: string): Promise<string> =>
  (await readFile(path.join(root, page), 'utf8')).replace(/^```[^]*?^```$/gm, '')

/** The anchors that GitHub gives to the headings. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number}\- ]/gu, '')
      .replaceAll(' ', '-'),
  )

const targetsOf = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)\s]+)\)|\b(?:src|href)="([^"{]+)"/g)].map(
    ([, link, attribute]) => link ?? attribute ?? '',
  )

async function leadsNowhere(target: string, page: string): Promise<boolean> {
  const [file = '', anchor] = target.split('#')
  if (!existsSync(path.join(root, file))) return true
  return anchor !== undefined && !anchorsOf(await source(file === '' ? page : file)).includes(anchor)
}

it.each(PAGES)('%s links to files, pictures and headings that there are', async (page) => {
  const targets = targetsOf((await source(page)).replace(/`[^`]*`/g, ''))
  const local = targets.filter((target) => !/^https?:/.test(target))
  const broken = await Promise.all(local.map((target) => leadsNowhere(target, page)))
  expect(local.filter((_, index) => broken[index])).toEqual([])
})

it('the README names each of its headings at its top, in order', async () => {
  const text = await source('README.md')
  const first = text.indexOf('\n## ')
  const named = targetsOf(text.slice(0, first)).filter((target) => target.startsWith('#'))
  expect(named).toEqual(anchorsOf(text.slice(first)).map((anchor) => `#${anchor}`))
})
