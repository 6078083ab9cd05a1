import { existsSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { chapters, proseOf, root, type Target, targetsOf } from '../support/readme.js'

/** Everything that somebody reads without the code's tools, where nothing else finds a broken link. */
const PAGES = [...chapters.map(({ page }) => page), 'CONTRIBUTING.md', '.github/SECURITY.md', 'CHANGELOG.md']
const WITH_CONTENTS = PAGES.filter((page) => page !== 'README.md' && page !== 'CHANGELOG.md')

/** The anchors that GitHub gives to the headings. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number}\- ]/gu, '')
      .replaceAll(' ', '-'),
  )

async function isBroken({ file, anchor }: Target): Promise<boolean> {
  if (!existsSync(path.join(root, file))) return true
  return anchor !== undefined && !anchorsOf(await proseOf(file)).includes(anchor)
}

it.each(PAGES)('%s links to files, pictures and headings that exist', async (page) => {
  const targets = await targetsOf(page)
  const broken = await Promise.all(targets.map(isBroken))
  expect(targets.filter((_, index) => broken[index]).map(({ link }) => link)).toEqual([])
})

it('the root README links to every chapter', async () => {
  const linked = new Set((await targetsOf('README.md')).map(({ file }) => file))
  expect(
    chapters.map(({ page }) => page).filter((page) => page !== 'README.md' && !linked.has(page)),
  ).toEqual([])
})

it.each(WITH_CONTENTS)('%s lists its headings at its top, in order', async (page) => {
  const text = await proseOf(page)
  const first = text.indexOf('\n## ')
  const listed = [...text.slice(0, first).matchAll(/^- \[.*?\]\((#.*)\)$/gm)].map(([, anchor]) => anchor)
  const headings = text.slice(first).match(/^## .*$/gm) ?? []
  expect(listed).toEqual(anchorsOf(headings.join('\n')).map((anchor) => `#${anchor}`))
})

it('the glossary defines each term once, in alphabetical order', async () => {
  const [, glossary = ''] = (await proseOf('CONTRIBUTING.md')).split('\n## Glossary\n')
  const [table = ''] = glossary.split('\n## ')
  const terms = [...table.matchAll(/^\| (?!term|---)([^|]+?) \|/gm)].map(([, term = '']) => term)
  expect(terms.length).toBeGreaterThan(40)
  expect(terms).toEqual([...new Set(terms)].sort((a, b) => a.localeCompare(b)))
})

it.each(PAGES)('%s names only files and folders that exist, also in commands', async (page) => {
  const code = (await proseOf(page)).match(/`[^`]+`/g) ?? []
  const named = code.flatMap((span) => span.match(/(?<![\w./-])(?:src|workers|test|\.ci)\/[\w./-]+/g) ?? [])
  const missing = named.filter((file) => !file.includes('NAME') && !existsSync(path.join(root, file)))
  expect(missing).toEqual([])
})
